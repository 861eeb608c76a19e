"""Settings of how rewards become preference pairs."""

from typing import Literal

from pydantic import Field

from wim.settings.section import Section


class PairSettings(Section):
    """Which candidates of one context are paired."""

    select: Literal["best_worst", "all"] = "best_worst"
    """best_worst: one pair per context, of the highest and the lowest reward; all: every two
    candidates. Unit: none."""

    ties: Literal["drop", "random", "first"] = "drop"
    """What happens to two equal rewards. drop: no pair; random: a pair in a random order, by seed;
    first: the earlier sample is chosen. Unit: none."""

    min_margin: float = Field(default=0.0, ge=0)
    """Pairs whose rewards differ by less are left out. Unit: reward."""
