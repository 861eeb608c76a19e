"""Settings of rounds, in each of which the checkpoint of the round before is the actor."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from wim.settings.section import Section

if TYPE_CHECKING:
    pass


class StopSettings(Section):
    """When an arm has converged. Its later rounds then carry the checkpoint forward."""

    metric: Literal["pair_margin", "held_out_accuracy"] = "pair_margin"
    """The metric to watch. pair_margin: the mean difference of the rewards of chosen and rejected
    in a round's pairs; held_out_accuracy: the share of a round's held-out pairs that its checkpoint
    orders as the reward does. Unit: none."""

    below: float = Field(gt=0)
    """An arm stops after a round whose metric differs by less than this from that of the round
    before. Unit: reward, or share."""


class RoundSettings(Section):
    """Repeats everything from dialogues to training with the last checkpoint as the actor. A number
    alone, as in `rounds: 2`, is the count."""

    count: int = Field(default=1, ge=1, le=99)
    """Number of rounds. Adding one computes nothing of the earlier ones again. Unit: rounds."""

    reference: Literal["previous", "initial"] = "previous"
    """The reference model of a later round's training: the checkpoint that it starts from, or the
    model that the first round started from. Unit: none."""

    prompts: Literal["same", "fresh"] = "same"
    """same: every round uses all prompts; fresh: each uses its own slice of the training prompts,
    by the hash of their content, and all held-out ones. Unit: none."""

    slices: int | None = Field(default=None, ge=1, le=999)
    """fresh: number of slices of the prompts; null is the count. More slices than rounds leave room
    for further rounds, which would otherwise divide all prompts anew. Unit: slices."""

    judge: Literal["initial", "self"] = "initial"
    """Who judges in later rounds: the judge's own model, or the last checkpoint in its place.
    Unit: none."""

    stop: StopSettings | None = None
    """When an arm has converged; null runs all rounds."""

    @property
    def slices_of_prompts(self) -> int | None:
        """Number of slices of the prompts, None if every round uses all."""
        return (self.slices or self.count) if self.prompts == "fresh" else None


class RoundOverlay(Section):
    """What an arm overrides in one of its rounds."""

    pairs: dict[str, Any] = {}
    """Keys of `pairs` that this round overrides. Unit: none."""

    training: dict[str, Any] = {}
    """Keys of `training` that this round overrides. Unit: none."""


def with_counts_of_rounds(values: Any) -> Any:
    """A configuration's mapping in which `rounds: 2`, there or in an arm, is a section."""
    if not isinstance(values, Mapping):
        return values
    written = _counted(values)
    if isinstance(written.get("arms"), Mapping):
        written["arms"] = {name: _counted(arm) for name, arm in written["arms"].items()}
    return written


def _counted(section: Any) -> Any:
    if not isinstance(section, Mapping):
        return section
    rounds = section.get("rounds")
    number = isinstance(rounds, int | float | str) and not isinstance(rounds, bool)
    return {**section, **({"rounds": {"count": rounds}} if number else {})}
