"""The figure of the reward gate: each reward's accuracy with its interval, and chance."""

from collections.abc import Mapping
from pathlib import Path

from wim.display.plotting import GREY, PALETTE, figure_at
from wim.statistics import Estimate

ROW = 0.42


def draw_accuracies(accuracies: Mapping[str, Estimate], path: Path) -> None:
    """Draw a row for each reward, the first on top; one that judged no pair has no mark."""
    names = list(accuracies)
    with figure_at(path, 7.5, 1.4 + ROW * len(names)) as figure:
        axes = figure.add_subplot()
        axes.axvline(0.5, color=GREY, linestyle="--", linewidth=1)
        for place, one in enumerate(accuracies.values()):
            if one.value is None or one.low is None or one.high is None:
                continue
            error = [[one.value - one.low], [one.high - one.value]]
            axes.errorbar(one.value, place, xerr=error, fmt="o", capsize=3, color=PALETTE[0])
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("accuracy on labelled pairs, 95 % interval; dashed: chance")
