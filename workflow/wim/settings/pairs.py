"""Settings of how rewards become preference pairs."""

from typing import Literal

from pydantic import Field

from wim.settings.section import Section


class PairSettings(Section):
    """Which candidates of one context are set against each other."""

    select: Literal["best_worst", "all"] = "best_worst"
    """best_worst: one pair a context, the highest against the lowest reward; all: every two
    candidates. Unit: none."""

    ties: Literal["drop", "random", "first"] = "drop"
    """What becomes of two equal rewards: no pair, a pair in an order drawn by seed, or the earlier
    sample as chosen. Unit: none."""

    min_margin: float = Field(default=0.0, ge=0)
    """Pairs whose rewards differ by less are left out. Unit: reward."""
