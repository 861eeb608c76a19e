"""What an engine that asks a server may answer besides what every engine does.

Kept apart from base.py, whose text is part of what decides the rows of local models.
"""

from dataclasses import dataclass
from typing import Any, Literal

from wim.engines.base import ChoiceLogprobs, Completion

NumberSource = Literal["logprobs", "samples"]
# No finish reason of base.py, which is about answers.
UNANSWERED: Any = "error"


@dataclass(frozen=True)
class Unanswered(Completion):
    """A request without an answer, and the reason in words. It is never stored."""

    reason: str = ""


@dataclass(frozen=True)
class ReadChoices(ChoiceLogprobs):
    """Log-probabilities read from a server's answers: as it gave them, or as frequencies.

    Where there are none, `reason` says why in words.
    """

    source: NumberSource | None = None
    reason: str = ""


def unanswered(key: str, reason: str) -> Unanswered:
    """The stand-in for the answer to a request."""
    return Unanswered(key, "", UNANSWERED, 0, 0, reason)
