"""Settings of an arm: a reward, and what differs from the common pairs and training."""

from typing import Annotated, Any

from pydantic import Field

from wim.settings.section import Name, Section


class Arm(Section):
    """A line of experiment: a reward, how pairs are made of it, and how they train the model."""

    reward: Name
    """The reward that labels the pairs, by its name under `rewards`. Unit: name."""

    pairs: dict[str, Any] = {}
    """Keys of `pairs` that this arm sets otherwise. Unit: none."""

    training: dict[str, Any] = {}
    """Keys of `training` that this arm sets otherwise. Unit: none."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Seed of this arm's training; null is the run's. Unit: none."""
