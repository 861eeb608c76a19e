"""Settings of how rewards become preference pairs."""

from typing import Any, Literal

from pydantic import Field

from wim.settings.section import Section


class PairSettings(Section):
    """Which candidates of one context are paired."""

    select: Literal["best_worst", "all"] = "best_worst"
    """best_worst: one pair per context, of the highest and the lowest reward; all: every two
    candidates. Unit: none."""

    ties: Literal["drop", "random", "first"] = "drop"
    """What happens to two equal rewards, which differ by at most 1e-6, as by rounding. drop: no pair; random: a pair in a random order, by seed;
    first: the earlier sample is chosen. Unit: none."""

    min_margin: float = Field(default=0.0, ge=0)
    """Pairs whose rewards differ by less are left out. Unit: reward."""

    cut: Literal["keep", "drop"] = "keep"
    """What happens to completions that were cut at max_new_tokens. keep: they are paired as others
    are, and trained without the token that ends a turn, so that none learns to stop there; drop:
    they are in no pair, which leaves fewer pairs, of shorter completions. Unit: none."""

    def identity(self) -> dict[str, Any]:
        """The settings that decide the pairs."""
        unused = {"cut"} if self.cut == "keep" else set()
        return self.model_dump(mode="json", exclude=unused)
