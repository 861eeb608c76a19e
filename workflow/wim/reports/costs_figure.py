"""The figure of a run's costs: hours of each stage, and its tokens where servers counted them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wim.display.plotting import GREY, PALETTE, figure_at
from wim.reports.costs_text import Costs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HATCH = "////"


def draw_costs(found: Costs, path: Path) -> None:
    """Draw the hours of each stage, with its GPU-hours, and beside them the tokens."""
    stages = list(found.times)
    queried = list(found.spent)
    panels = 2 if queried else 1
    rows = max(3, len(stages), len(queried))
    with figure_at(path, 5.6 * panels + 1.4, 1.3 + 0.42 * rows) as figure:
        first, *others = figure.subplots(1, panels, squeeze=False)[0]
        hours = {
            "hours of jobs": [found.times[stage].seconds / 3600 for stage in stages],
            "GPU-hours": [found.times[stage].gpu_seconds / 3600 for stage in stages],
        }
        shown = {name: values for name, values in hours.items() if any(values)}
        _bars(first, stages, shown, "hours")
        for axes in others:
            spent = [found.spent[key].total for key in queried]
            tokens = {
                "prompts": [one.prompts / 1e3 for one in spent],
                "answers": [one.answers / 1e3 for one in spent],
            }
            names = [f"{stage}\n{model}" for stage, model in queried]
            _bars(axes, names, tokens, "tokens (thousands)")


def _bars(
    axes: "Axes", names: Sequence[str], values: Mapping[str, Sequence[float]], unit: str
) -> None:
    """Horizontal bars in groups, the first on top, each with its number."""
    if not names or not values:
        axes.text(
            0.5, 0.5, "nothing was measured", transform=axes.transAxes, ha="center", color=GREY
        )
        axes.set(xticks=[], yticks=[])
        return
    height = 0.8 / len(values)
    for place, (label, numbers) in enumerate(values.items()):
        at = [row + place * height - 0.4 + height / 2 for row in range(len(names))]
        bars = axes.barh(
            at,
            numbers,
            height * 0.92,
            label=label,
            color=PALETTE[place],
            hatch=HATCH if place else "",
            edgecolor="white",
        )
        axes.bar_label(bars, [f"{number:,.3g}" for number in numbers], padding=3, fontsize=9)
    axes.set_yticks(range(len(names)), names, fontsize=9.5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.16 * max(max(numbers) for numbers in values.values()) or 1)
    axes.set_xlabel(unit)
    if len(values) > 1:
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=9.5)
