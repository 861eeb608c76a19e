"""The figure of the study: accuracy against what the judge's words cost, a panel for each set."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from wim.display.plotting import GREY, PALETTE, figure_at
from wim.evaluation.study.measure import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP*X"
# The width that the marks of one cost are spread over, of the whole axis.
SPREAD = 0.18


def draw_costs(figures: Mapping[str, Mapping[str, Measured]], path: Path) -> None:
    """Draw each reward's accuracy with its interval over the judge's tokens of a pair.

    Marks of one cost stand side by side. A reward without a judged pair has none.

    Args:
        figures: By set and reward.
        path: The SVG figure.
    """
    heights = [max(3.2, 0.26 * len(of_set) + 1.0) for of_set in figures.values()]
    names = list(dict.fromkeys(name for of_set in figures.values() for name in of_set))
    looks = {
        name: (PALETTE[place % len(PALETTE)], MARKERS[place // len(PALETTE) % len(MARKERS)])
        for place, name in enumerate(names)
    }
    with figure_at(path, 9, sum(heights)) as figure:
        panels = figure.subplots(len(figures), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (where, of_set) in zip(panels, figures.items(), strict=True):
            _draw_set(axes, of_set, looks)
            axes.set_title(where, loc="left")
            axes.set_ylabel("accuracy")
        panels[-1].set_xlabel("tokens that the judge wrote for a pair; dashed: chance")


def _draw_set(
    axes: "Axes", of_set: Mapping[str, Measured], looks: Mapping[str, tuple[str, str]]
) -> None:
    costs = sorted({one.tokens or 0.0 for one in of_set.values()})
    gap = min((b - a for a, b in pairwise(costs)), default=1.0) or 1.0
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1)
    for cost in costs:
        shown = [
            (name, one)
            for name, one in of_set.items()
            if (one.tokens or 0.0) == cost and one.accuracy.value is not None
        ]
        for offset, (name, one) in zip(_offsets(len(shown), gap), shown, strict=True):
            value, low, high = one.accuracy.value, one.accuracy.low, one.accuracy.high
            assert value is not None
            error = None if low is None or high is None else [[value - low], [high - value]]
            colour, marker = looks[name]
            axes.errorbar(
                cost + offset, value, yerr=error, fmt=marker, capsize=2, color=colour, label=name
            )
    axes.set_ylim(0, 1)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def _offsets(count: int, gap: float) -> Sequence[float]:
    """Where the marks of one cost are, beside it."""
    step = 4 * SPREAD * gap / max(count, 4)
    return [step * (place - (count - 1) / 2) for place in range(count)]
