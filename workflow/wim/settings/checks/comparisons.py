"""Comparisons: judges of pairs compare, others rate, and arms use what was compared as it is."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wim.settings.gate import LABELLED

if TYPE_CHECKING:
    from wim.settings.config import Config


def problems(config: "Config") -> Iterator[str]:
    """One line for each comparison, judge of pairs or arm of a comparison that does not fit."""
    judges = config.judges
    if LABELLED in config.comparisons:
        yield (
            f"comparisons.{LABELLED}: the workflow itself uses this name for the gate's pairs; "
            "write another."
        )
    for name, comparison in config.comparisons.items():
        if comparison.judge in judges and not judges[comparison.judge].compares:
            yield (
                f"comparisons.{name}.judge: found '{comparison.judge}', which rates responses one "
                "by one; write a judge of the method pairwise."
            )
    for name, reward in config.rewards.items():
        if reward.judge and reward.judge in judges and judges[reward.judge].grades:
            yield (
                f"rewards.{name}.judge: found '{reward.judge}', which grades the answers of "
                "evaluations alone; write a judge of another method."
            )
        elif reward.judge and reward.judge in judges and not judges[reward.judge].rates:
            yield (
                f"rewards.{name}.judge: found '{reward.judge}', which compares responses and rates "
                "none; write a judge of another method, or label an arm by it: "
                "arms.<name>.comparison."
            )
    for name, arm in config.arms.items():
        if arm.comparison is None:
            continue
        ties = config.arm_pairs(name).ties
        if ties != "drop":
            yield (
                f"arms.{name}.pairs.ties: found '{ties}', and a tie of a comparison labels "
                "nothing; write pairs: {ties: drop}."
            )
        if "select" in arm.pairs:
            yield (
                f"arms.{name}.pairs.select: all that was compared is used; write "
                f"comparisons.{arm.comparison}.per_context instead."
            )
