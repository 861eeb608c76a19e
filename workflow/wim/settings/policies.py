"""Settings of further models that answer the prompts, such as teachers."""

from typing import Any

from pydantic import Field

from wim.settings.section import Name, Section


class PolicySettings(Section):
    """Another model that answers the same prompts as the actor, such as a teacher."""

    model: Name
    """The model that answers, by its name under `models`. Unit: name."""

    candidates: int | None = Field(default=None, ge=1, le=64)
    """Completions sampled for each prompt; null takes those of `dialogues`. Unit: completions."""

    sampling: dict[str, Any] = {}
    """Keys of `dialogues.sampling` that this policy overrides. Unit: none."""

    @property
    def overlay(self) -> dict[str, Any]:
        """What the policy overrides of `dialogues`."""
        own = {} if self.candidates is None else {"candidates": self.candidates}
        return {"actor": self.model, "sampling": self.sampling, **own}
