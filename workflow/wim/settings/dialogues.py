"""Settings of the dialogues: who answers the prompts, how often and how."""

from typing import Literal

from pydantic import Field

from wim.settings.sampling import Sampling
from wim.settings.section import Name, Section


class DialogueSettings(Section):
    """The candidates that the judges will see."""

    mode: Literal["completions"] = "completions"
    """completions: the actor answers each prompt, so that each dialogue has one turn. Unit: none."""

    actor: Name = "smollm2"
    """The model that answers in the first round, by its name under `models`. Unit: name."""

    candidates: int = Field(default=2, ge=2, le=64)
    """Completions drawn for each prompt. Unit: completions."""

    system: str | None = None
    """System message put before each prompt; none leaves the prompt as it is. Unit: text."""

    sampling: Sampling = Sampling()
    """How completions are drawn."""
