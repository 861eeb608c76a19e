"""Tells a model's reasoning apart from its answer, by the markers that models write around it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

# What may be in front of all that a model writes: white space and byte order marks.
_SPACE = re.compile(r"[\s\ufeff]*")


@dataclass(frozen=True)
class Markers:
    """What a family of models writes before and after its reasoning.

    Attributes:
        opening: Before the reasoning; where the chat template writes it, the model does not.
        closing: Between the reasoning and the answer.
        between: What the family writes right before `closing`, which is neither.
        empty: A turn without reasoning begins with it.
    """

    opening: str
    closing: str
    between: str = ""
    empty: str = ""

    @property
    def without_reasoning(self) -> str:
        """What a turn begins with that has no reasoning."""
        return self.empty or f"{self.opening}\n\n{self.closing}\n\n"

    def around(self, reasoning: str) -> str:
        """What a turn begins with that has this reasoning."""
        if not reasoning:
            return self.without_reasoning
        if self.empty:
            return self.opening + reasoning + self.between + self.closing
        return f"{self.opening}\n{reasoning}\n{self.closing}\n\n"

    def in_text(self, text: str) -> bool:
        """Whether a chat template, or another text, has either of them."""
        return self.opening in text or self.closing in text


# Qwen 3, DeepSeek-R1, Phi 4 and most others; gpt-oss; Magistral; Command A; Seed-OSS; EXAONE Deep;
# Kimi; Gemma 4; prompts that ask for it; Sky-T1 and OpenThinker; gpt-oss, talking of tools.
MARKERS = (
    Markers("<think>", "</think>"),
    Markers(
        "<|channel|>analysis<|message|>",
        "<|channel|>final<|message|>",
        between="<|end|><|start|>assistant",
        empty="<|channel|>final<|message|>",
    ),
    Markers("[THINK]", "[/THINK]"),
    Markers("<|START_THINKING|>", "<|END_THINKING|>"),
    Markers("<seed:think>", "</seed:think>"),
    Markers("<thought>", "</thought>"),
    Markers("<thinking>", "</thinking>"),
    Markers("\N{WHITE LEFT-POINTING TRIANGLE}think\N{WHITE RIGHT-POINTING TRIANGLE}",
            "\N{WHITE LEFT-POINTING TRIANGLE}/think\N{WHITE RIGHT-POINTING TRIANGLE}"),
    Markers("<|channel>thought\n", "<channel|>"),
    Markers("<reasoning>", "</reasoning>"),
    Markers("<|begin_of_thought|>", "<|end_of_thought|>"),
    Markers("<|channel|>commentary<|message|>", "<|channel|>final<|message|>",
            between="<|end|><|start|>assistant", empty="<|channel|>final<|message|>"),
)  # fmt: skip


@dataclass(frozen=True)
class Span:
    """A part of a text, from `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Parts:
    """Where the reasoning and the answer are; None for what a text does not have."""

    reasoning: Span | None
    answer: Span | None


def parts_of(
    text: str,
    opened: Markers | None = None,
    markers: Sequence[Markers] = MARKERS,
    closing_alone: bool = False,
) -> Parts:
    """The reasoning and the answer of what a model wrote in its turn.

    Only markers at the beginning are read: those that an answer quotes are a part of it. Small and
    capital letters are the same. Reasoning right behind reasoning belongs to it.

    Args:
        text: All that the model wrote.
        opened: Those whose opening the prompt ended with.
        markers: Those that the text may begin with.
        closing_alone: Whether reasoning may lack its opening, as where a server's template wrote it
            and the template is not known.
    """
    if opened is not None:
        return _closed(text, 0, opened)
    begin = _behind_space(text, 0)
    for each in markers:
        if opening := _found(each.opening).match(text, begin):
            return _closed(text, opening.end(), each)
        if _found(each.closing).match(text, begin):
            return _closed(text, begin, each)
    if closing_alone:
        found = [
            (closing.start(), each)
            for each in markers
            if (closing := _found(each.closing).search(text))
        ]
        if found:
            return _closed(text, 0, min(found, key=lambda one: one[0])[1])
    return Parts(None, Span(0, len(text)))


def _closed(text: str, start: int, markers: Markers) -> Parts:
    """The parts of a text whose reasoning begins at `start`."""
    again: re.Match[str] | None = None
    while True:
        closing = _found(markers.closing).search(text, again.end() if again else start)
        if closing is None:
            return Parts(Span(start, len(text)), None)
        again = _found(markers.opening).match(text, _behind_space(text, closing.end()))
        if again is None:
            break
    end = start + len(text[start : closing.start()].removesuffix(markers.between))
    return Parts(Span(start, end), Span(closing.end(), len(text)))


@cache
def _found(marker: str) -> re.Pattern[str]:
    return re.compile(re.escape(marker), re.IGNORECASE)


def _behind_space(text: str, start: int) -> int:
    space = _SPACE.match(text, start)
    return space.end() if space else start


@dataclass(frozen=True)
class Written:
    """What a model wrote: `reasoning` is None where there is none, `answer` where it has not come."""

    reasoning: str | None
    answer: str | None


def split_reasoning(
    text: str, opened: Markers | None = None, closing_alone: bool = False
) -> Written:
    """The reasoning and the answer of a text, without outer white space.

    Args:
        text, opened, closing_alone: As in `parts_of`.
    """

    def said(part: Span | None) -> str | None:
        return None if part is None else text[part.start : part.end].strip()

    parts = parts_of(text, opened, closing_alone=closing_alone)
    return Written(said(parts.reasoning), said(parts.answer))


def marker_texts(markers: Iterable[Markers] = MARKERS) -> list[str]:
    """All that is written around reasoning."""
    return [text for each in markers for text in (each.opening.strip(), each.closing)]
