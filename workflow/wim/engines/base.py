"""The interface of all engines: requests, and the answers to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from wim.settings.sampling import Sampling
from wim.tables.schemas import Message

FinishReason = Literal["stop", "length", "context"]


@dataclass(frozen=True)
class Request:
    """A conversation to continue.

    `key` names the request in the answers. `opening` is text that the answer is forced to
    begin with; it is not part of the completion. `seed` alone decides what is sampled. `about` says
    in messages what it is about: "prompt 1f.. of chat.jsonl".
    """

    key: str
    messages: tuple[Message, ...]
    seed: int = 0
    opening: str = ""
    about: str = ""


@dataclass(frozen=True)
class Completion:
    """The answer to a request.

    text: The answer, without what the model thought before it; empty where it never came to one.
    finish_reason: `stop` (the model ended it), `length` (cut at max_new_tokens, or while it was
    thinking), or `context` (the prompt leaves no room in the model's context; the text is empty).
    reasoning: What it thought, None where it did not.
    tokens: The ids of all that it wrote, with the one that ended it; None where they are not known.
    """

    key: str
    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    reasoning: str | None = None
    tokens: tuple[int, ...] | None = None

    @property
    def never_answered(self) -> bool:
        """Whether the model was still thinking when it ended or was cut."""
        return self.reasoning is not None and not self.text


@dataclass(frozen=True)
class ChoiceLogprobs:
    """Log-probabilities (nats) of each choice, or None where the prompt exceeds the context."""

    key: str
    logprobs: tuple[float, ...] | None
    prompt_tokens: int


class Engine(Protocol):
    """Something with a model that is open."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Completions in order of finishing, so that the caller can keep what is done."""
        ...

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """How likely the answer begins with each choice and not with a longer one of them."""
        ...
