"""Settings of reward models."""

from pydantic import Field

from wim.settings.optimization import OptimizationSettings
from wim.settings.section import Name


class RewardModelSettings(OptimizationSettings):
    """A model that gives a conversation one number, trained on an arm's pairs (Bradley-Terry)."""

    arm: Name
    """The arm on whose pairs of the first round it is trained. Unit: name."""

    model: Name | None = None
    """The language model that gets a head for the number, by its name under `models` or `sft`; null
    takes the actor. Unit: name."""

    centering: float | None = Field(default=None, gt=0)
    """Weight of the squared sum of both numbers of a pair, which pulls their mean to 0 (Eisenstein
    et al. 2023, arXiv 2312.09244); 0.01 is usual. Unit: none."""

    bins: int = Field(default=10, ge=1, le=100)
    """Bins of the predicted probability, over which calibration is measured. Unit: bins."""

    max_length: int = Field(default=512, ge=8)
    """Longest prompt with completion; pairs with a longer one are left out. Unit: tokens."""
