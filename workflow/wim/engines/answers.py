"""That there is no answer, and why; and where the probabilities of a server's choices are from.

Kept apart from base.py, whose text is part of what decides the rows of local models.
"""

from dataclasses import dataclass
from typing import Any, Literal

from wim.engines.base import ChoiceLogprobs, Completion

# Log-probabilities, frequencies of sampled answers, or one answer alone.
NumberSource = Literal["logprobs", "samples", "answer"]
# Not among the finish reasons of base.py, which are those of answers.
UNANSWERED: Any = "error"


@dataclass(frozen=True)
class Unanswered(Completion):
    """A request without an answer, and the reason. It is never stored."""

    reason: str = ""


@dataclass(frozen=True)
class ReadChoices(ChoiceLogprobs):
    """Log-probabilities from a server's answers: as it gave them, or as frequencies.

    Where there are none, `reason` says why.
    """

    source: NumberSource | None = None
    reason: str = ""


def unanswered(key: str, reason: str) -> Unanswered:
    """What replaces the answer to a request that has none."""
    return Unanswered(key, "", UNANSWERED, 0, 0, reason=reason)
