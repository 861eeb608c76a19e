"""Tells what a server's model thought apart from what it answered.

Most servers do so themselves, in a field of the message or in parts of its content. Others send all
that the model wrote, with its markers; and some send thinking that was cut as if it were the answer.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from wim.engines.answers import Unanswered
from wim.engines.base import Completion
from wim.engines.reasoning import MARKERS, Markers, Written, split_reasoning
from wim.settings.models import THINKING_ROOM, Thinking, thinking_room

logger = logging.getLogger(__name__)
# What is left of gpt-oss's markers where a server leaves special tokens out of a text.
REMNANTS = Markers("analysis", "assistantfinal")
ALL = (*MARKERS, REMNANTS)
REMNANT = re.compile(r"\s*analysis(?=[A-Z\"'])")
# A closing marker without an opening one, before an answer; one that a text quotes stands otherwise.
CLOSING = re.compile(
    rf"(?<![`'\"\u201c\u2018(\[ ])({'|'.join(re.escape(each.closing) for each in MARKERS)})"
    r"(?=[ \t]*\n\s*\S|[\w*#\[{-])",
    re.IGNORECASE,
)


class Thoughts:
    """What is known of a model's thinking, by its settings, its template and its answers so far."""

    def __init__(self, name: str, thinking: Thinking = None, opened: Markers | None = None) -> None:
        """Nothing is known by answers.

        Args:
            name: The model's name under `models`, for messages.
            thinking: Its setting.
            opened: The markers whose opening its chat template writes, if the template is known.
        """
        self._name = name
        self._thinking = thinking
        self._opened = opened
        self._seen = False
        self._whole_without = False
        self._needs_room = opened is not None and thinking is None
        self._warned: set[str] = set()

    @property
    def room(self) -> int:
        """Tokens beside those of an answer, for the thinking before it."""
        return thinking_room(self._thinking)

    @property
    def room_of_number(self) -> int:
        """Tokens beside the few of a number or another choice.

        A model whose answers have shown that it thinks has some by itself: else no number would be
        left of them.
        """
        return self.room or (THINKING_ROOM if self._needs_room else 0)

    @property
    def fields(self) -> dict[str, object]:
        """What a request says of it, in the names that chat templates have for it."""
        if self._thinking is None:
            return {}
        on = self._thinking != "off"
        return {"chat_template_kwargs": {"enable_thinking": on, "thinking": on}}

    def split(self, text: str, thought: str | None, hidden: bool = False) -> Written:
        """The thinking and the answer in a text that a server sent.

        Args:
            text: The content of its message.
            thought: What it sent as thinking, if anything.
            hidden: Whether it says that there was thinking, and does not show it.
        """
        if thought or hidden:
            found = split_reasoning(text)
            said = [each for each in (thought, found.reasoning) if each]
            return self._noted(Written("\n".join(said).strip(), found.answer))
        if self._opened and self._opened.closing.lower() in text.lower():
            return self._noted(split_reasoning(text, self._opened))
        if REMNANT.match(text):
            start = text.index(REMNANTS.opening) + len(REMNANTS.opening)
            return self._noted(split_reasoning(text[start:], REMNANTS))
        alone = self._thinking != "off" and CLOSING.search(text) is not None
        return self._noted(split_reasoning(text, closing_alone=alone))

    def _noted(self, written: Written) -> Written:
        if written.reasoning is not None:
            self._needs_room = True
        if written.reasoning and self._thinking == "off":
            self._warn(
                "`thinking: off` does not reach the model, which thinks; write into `api.request` "
                "what its API has for it (docs/guide/endpoints.md, Models that think first)"
            )
        return written

    def settled(self, answers: Iterable[Completion]) -> Iterator[Completion]:
        """The answers, in which thinking that a server sent as an answer is told apart at last.

        An answer that was cut, or that lacks the markers which its template has opened, is held back
        until all are there: whether it is thinking shows in the others.
        """
        held: list[Completion] = []
        for answer in answers:
            if isinstance(answer, Unanswered):
                yield answer
            elif answer.reasoning is not None:
                self._seen = self._seen or answer.reasoning != ""
                if answer.never_answered and self._thinking is None:
                    self._warn(
                        "it thinks first, and was cut before it answered; give it room: "
                        "`thinking: on`, or a number of tokens"
                    )
                yield answer
            elif self._thinking == "off" or (answer.finish_reason == "stop" and not self._opened):
                self._whole_without = self._whole_without or answer.finish_reason == "stop"
                yield answer
            else:
                held.append(answer)
        for answer in held:
            if not self._is_thinking(answer):
                yield answer
                continue
            self._warn(
                "answers that were cut, with no sign of where their thinking ends, count as "
                "thinking; give it more room: `thinking: <tokens>`"
            )
            yield replace(answer, text="", reasoning=answer.text, finish_reason="length")

    def _is_thinking(self, answer: Completion) -> bool:
        """Whether an answer without a sign of thinking, from a model that may think, is nothing else."""
        if answer.finish_reason == "stop":
            # The template has opened the thinking; a server that takes it out of other answers has
            # found none here.
            return not self._seen
        return self._seen or self._opened is not None or (self.room > 0 and not self._whole_without)

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            logger.warning("models.%s: %s", self._name, message)


def after_thinking(tokens: Sequence[str], written: Written) -> int:
    """The index of the first token of an answer, or the number of tokens where it is not among them.

    Args:
        tokens: All that the server reports, with the thinking or without.
        written: What was thought and answered.
    """
    if written.reasoning is None:
        return 0
    text = "".join(tokens)
    ends = [text.rfind(each.closing) + len(each.closing) for each in ALL if each.closing in text]
    start = max(ends) if ends else text.rfind(written.answer or "")
    if not written.answer or start < 0:
        return len(tokens)
    lengths = accumulate(map(len, tokens))
    return next((place for place, end in enumerate(lengths) if end > start), len(tokens))
