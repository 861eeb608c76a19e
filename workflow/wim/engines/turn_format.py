"""How what a model said in a turn is written in tokens: those that it drew, or its text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from wim.engines.chat_format import ChatFormat, Refusal
from wim.engines.reasoning import Markers, Written
from wim.engines.special_tokens import escape_special_tokens
from wim.errors import UserError
from wim.tables.schemas import Message

# Words that no template has, by which its parts are found.
ASKED, ANSWERED = "Wim-asks", "Wim-answers"


@dataclass(frozen=True)
class Turn:
    """What a model said, as a row of a table has it.

    Attributes:
        answer: Its answer.
        finished: Whether it ended its turn, and was not cut.
        reasoning: What it thought before, None where it did not or where that is left out.
        drawn: The ids of all that it wrote, with the one that ended its turn, where known.
    """

    answer: str
    finished: bool = True
    reasoning: str | None = None
    drawn: Sequence[int] | None = None


@dataclass(frozen=True)
class RenderedTurn:
    """A turn in the words of a chat template.

    Attributes:
        before: Between the prompt and an answer; reasoning is no part of it.
        after: Behind an answer.
    """

    before: str
    after: str


class TurnFormat:
    """The turns of one model: whatever is done with what was said takes its tokens from here."""

    def __init__(self, chat: ChatFormat) -> None:
        self.chat = chat

    def completion(self, prompt: str, turn: Turn) -> tuple[list[int], bool]:
        """The ids of a turn behind its prompt, and whether they are those that were drawn.

        They are the drawn ones where this tokenizer reads them as what the turn says. A turn of
        another tokenizer, of a server or of a file is its text, with the token that ends a turn
        where it was ended.

        Args:
            prompt: The text that was continued; see ChatFormat.prompt.
            turn: What was said.
        """
        if self._reads_as(turn, prompt):
            return list(turn.drawn or ()), True
        (tokens,) = self.chat.after(prompt, [self._text(turn, prompt)])
        return (tokens + self.ending if turn.finished else tokens), False

    def conversation(self, context: Iterable[Message], turn: Turn) -> tuple[list[int], bool]:
        """The ids of a conversation as a reward model reads it, and whether its last turn's are drawn.

        A turn that was ended is followed by all that the template writes behind it.

        Args:
            context: The messages before the turn.
            turn: The last turn, without reasoning.
        """
        prompt = self.chat.prompt(context, answer=True)
        tokens, drawn = self.completion(prompt, turn)
        behind = self._behind if turn.finished or self._needs_behind else []
        return [*self.chat.tokens(prompt), *tokens, *behind], drawn

    def _reads_as(self, turn: Turn, prompt: str) -> bool:
        """Whether this tokenizer reads the drawn tokens as what the turn says."""
        drawn = turn.drawn
        if not drawn or max(drawn) >= len(self.chat.tokenizer):
            return False
        ended = drawn[-1] in self.chat.ends
        if ended != turn.finished:
            return False
        written = self.chat.read(drawn[:-1] if ended else drawn, self.chat.opened(prompt))
        return written == Written(turn.reasoning, turn.answer)

    def _text(self, turn: Turn, prompt: str) -> str:
        """What a turn writes behind its prompt; special tokens in what was said are escaped."""
        markers, special = self.chat.markers, self.chat.special
        answer = self.rendered.before + escape_special_tokens(turn.answer, special)
        if markers is None or prompt.rstrip().endswith(markers.closing):
            return answer
        opened = self.chat.opened(prompt) is not None
        if turn.reasoning is not None:
            thought = markers.around(escape_special_tokens(turn.reasoning, special))
        else:
            # A template's own empty reasoning is not what a model wrote that has none.
            thought = markers.without_reasoning if opened else markers.empty
        return (_behind_opening(prompt, thought, markers) if opened else thought) + answer

    @cached_property
    def rendered(self) -> RenderedTurn:
        """How the template writes a turn, found by having it write one.

        Raises:
            UserError: It refuses a turn, or leaves out what was said.
        """
        asked: list[Message] = [{"role": "user", "content": ASKED}]
        said: list[Message] = [*asked, {"role": "assistant", "content": ANSWERED}]
        without = self.chat.thinking == "off"
        with _refusals("user"):
            prompt = self.chat.prompt(asked)
        with _refusals("assistant"):
            whole = self.chat.rendered(said, begun=False, without=without)
        for words, text, who in ((ASKED, prompt, "user"), (ANSWERED, whole, "assistant")):
            if words not in text:
                raise UserError(f"the chat template leaves out what the {who} says")
        start, _, after = whole.rpartition(ANSWERED)
        start, prompt = self._bare(start), self._bare(prompt)
        return RenderedTurn(start.removeprefix(prompt) if start.startswith(prompt) else "", after)

    def _bare(self, text: str) -> str:
        """A text without reasoning, begun or empty, at its end."""
        if self.chat.markers is None:
            return text
        opening = re.escape(self.chat.markers.opening.rstrip())
        closing = re.escape(self.chat.markers.closing)
        return re.sub(rf"(?:{opening}\s*)?{closing}\s*\Z|{opening}\s*\Z", "", text)

    @cached_property
    def ending(self) -> list[int]:
        """The ids behind an answer up to the first in the template that ends the model's turn.

        Raises:
            UserError: The model has no such token.
        """
        ends = [place for place, token in enumerate(self._after) if token in self.chat.ends]
        if ends:
            return self._after[: ends[0] + 1]
        if self.chat.tokenizer.eos_token_id is None:
            raise UserError("the model has no token that ends its turn")
        return [int(self.chat.tokenizer.eos_token_id)]

    @cached_property
    def _after(self) -> list[int]:
        return self.chat.tokens(self.rendered.after)

    @property
    def _behind(self) -> list[int]:
        """The ids that the template writes behind a turn that has ended."""
        ending = self.ending
        return self._after[len(ending) :] if self._after[: len(ending)] == ending else []

    @property
    def _needs_behind(self) -> bool:
        """Whether a reward model's number is read from a token of its own behind the turn."""
        return bool((self.chat.special_ids - self.chat.ends) & set(self._behind))


@contextmanager
def _refusals(speaker: str) -> Iterator[None]:
    """Turn errors of rendering a chat template into a UserError."""
    try:
        yield
    except (Refusal, ValueError, LookupError, AttributeError) as error:
        words = error.__cause__ if isinstance(error, Refusal) else error
        raise UserError(f"the chat template refuses a turn of the {speaker}'s ({words})") from error


def _behind_opening(prompt: str, thought: str, markers: Markers) -> str:
    """What of the reasoning, with its opening, is left to write behind a prompt that opened it."""
    opened = prompt[prompt.rindex(markers.opening.rstrip()) :]
    if thought.startswith(opened):
        return thought.removeprefix(opened)
    return thought.removeprefix(markers.opening).lstrip()
