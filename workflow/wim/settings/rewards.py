"""Settings of a named reward."""

from typing import Literal

from pydantic import Field

from wim.settings.section import Name, Section


class RewardSettings(Section):
    """A reward: (1 - zeta) * scaled rating + zeta * cosine of response and critique."""

    judge: Name
    """The judge whose ratings and critiques it uses, by its name under `judges`. Unit: name."""

    zeta: float = Field(ge=0, le=1)
    """Weight of the cosine; 1 uses the critique alone, 0 the number alone. Unit: share."""

    rating: Literal["rating", "rating_expected"] = "rating"
    """The number that is scaled from 1..10 to -1..1: the most likely rating or the mean over the
    judge's probabilities. Unit: none."""
