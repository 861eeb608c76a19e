"""Settings of an arm: a reward, and what it overrides of the common pairs and training."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from wim.settings.rounds import RoundOverlay
from wim.settings.section import Name, Section


class Arm(Section):
    """An experiment: what labels the candidates, how they are paired, and how the model trains."""

    reward: Name | None = None
    """The reward that labels the pairs, by its name under `rewards`. Unit: name."""

    comparison: Name | None = None
    """In place of a reward, the comparison that labels the pairs, by its name under `comparisons`.
    Unit: name."""

    method: Literal["dpo", "online_dpo"] = "dpo"
    """dpo: trains on pairs of the dialogues table; online_dpo: on pairs that are sampled from the
    model and judged while it trains; docs/guide/training.md. Unit: none."""

    pairs: dict[str, Any] = {}
    """Keys of `pairs` that this arm overrides. Unit: none."""

    training: dict[str, Any] = {}
    """Keys of `training` that this arm overrides. Unit: none."""

    start: Name | None = None
    """The model that training starts from and is regularised towards, by its name under `models` or
    `sft`; null takes the actor, which answers the prompts in any case. Unit: name."""

    rounds: dict[str, Any] = {}
    """Keys of `rounds` that this arm overrides, or their count alone. Unit: none."""

    by_round: dict[int, RoundOverlay] = {}
    """What single rounds of this arm override, by their number from 1. Unit: none."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Seed of this arm's training; null takes the run's. Unit: none."""

    @property
    def labelled_by(self) -> str:
        """The name of the reward or comparison."""
        return self.reward or self.comparison or ""

    @model_validator(mode="after")
    def _one_label(self) -> "Arm":
        if (self.reward is None) == (self.comparison is None):
            found = "neither" if self.reward is None else "both"
            raise ValueError(
                f"found {found} of reward and comparison, one of which labels the pairs; write "
                "reward: <name> or comparison: <name>"
            )
        return self
