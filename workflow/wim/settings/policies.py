"""Settings of further speakers, such as teachers, beside the actor."""

from typing import Any

from pydantic import Field

from wim.settings.section import Name, Section


class PolicySettings(Section):
    """Another model that answers the prompts in the actor's place, as a teacher does."""

    model: Name
    """The model that speaks, by its name under `models`. Unit: name."""

    candidates: int | None = Field(default=None, ge=1, le=64)
    """Completions drawn for each prompt; null takes those of `dialogues`. Unit: completions."""

    sampling: dict[str, Any] = {}
    """Keys of `dialogues.sampling` that this policy sets otherwise. Unit: none."""

    @property
    def overlay(self) -> dict[str, Any]:
        """What the policy sets otherwise than `dialogues`."""
        own = {} if self.candidates is None else {"candidates": self.candidates}
        return {"actor": self.model, "sampling": self.sampling, **own}
