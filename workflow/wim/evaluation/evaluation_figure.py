"""The figure of an evaluation: each speaker's win rate, or difference of rewards, with its interval."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wim.display.plotting import GREY, PALETTE, figure_at
from wim.tables.ratings import HIGHEST, LOWEST

ROW = 0.42
EVEN = 0.5


def draw_evaluation(figures: Mapping[str, Any], path: Path) -> None:
    """Draw a row for each speaker; of rewards a row for each reward and speaker."""
    if figures["kind"] == "win_rate":
        rows = {name: one["win_rate"] for name, one in figures["speakers"].items()}
        neutral: float | None = EVEN
        label = f"win rate against {figures['reference']}"
    elif figures["kind"] == "mt_bench":
        rows, neutral, label = _of_questions(figures)
    else:
        rows = {
            f"{name}: {reward}": one["difference"]["difference"]
            for reward, speakers in figures["rewards"].items()
            for name, one in speakers.items()
            if "difference" in one
        }
        neutral, label = 0.0, f"reward minus that of {figures['reference']}"
    with figure_at(path, 7.5, 1.4 + ROW * len(rows)) as figure:
        axes = figure.add_subplot()
        if neutral is not None:
            axes.axvline(neutral, color=GREY, linestyle="--", linewidth=1)
        for place, one in enumerate(rows.values()):
            if one["value"] is None:
                continue
            error = [[one["value"] - one["low"]], [one["high"] - one["value"]]]
            axes.errorbar(one["value"], place, xerr=error, fmt="o", capsize=3, color=PALETTE[0])
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        if figures.get("mode") == "single":
            axes.set_xlim(LOWEST, HIGHEST)
        elif neutral:
            axes.set_xlim(0, 1)
        axes.set_xlabel(f"{label}, 95 % interval; dashed: equal")


def _of_questions(figures: Mapping[str, Any]) -> tuple[dict[str, Any], float | None, str]:
    """A row for each speaker and its turns, where all are equal, and what is shown."""
    single = figures["mode"] == "single"
    figure = "mean" if single else "adjusted"
    rows = {}
    for name, one in figures["speakers"].items():
        rows[name] = one[figure]
        rows |= {f"{name}, turn {turn}": each for turn, each in one["by_turn"].items()}
    if not single:
        return rows, EVEN, f"adjusted win rate against {figures['reference']}"
    reference = figures["speakers"].get(figures["reference"])
    return rows, reference and reference["mean"]["value"], "mean grade"
