"""The figure of an evaluation by the harness: each speaker's score in each task that was asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wim.display.plotting import PALETTE, figure_at

ROW, APART = 0.5, 0.14
# Standard errors on each side of a score that its 95 % interval has.
NORMAL = 1.96


def draw_harness(figures: Mapping[str, Any], path: Path) -> None:
    """Draw a row for each task, with a point for each speaker."""
    tasks = {name: task for name, task in figures["tasks"].items() if task["asked"]}
    speakers = list(figures["models"])
    with figure_at(path, 7.5, 1.6 + ROW * len(tasks)) as figure:
        axes = figure.add_subplot()
        for number, speaker in enumerate(speakers):
            shift = APART * (number - (len(speakers) - 1) / 2)
            points = [
                (score["value"], NORMAL * (score["standard_error"] or 0.0), place + shift)
                for place, task in enumerate(tasks.values())
                if (score := task["speakers"][speaker]["scores"].get(task["main"]))
            ]
            values, errors, places = (
                map(list, zip(*points, strict=True)) if points else ([], [], [])
            )
            color = PALETTE[number % len(PALETTE)]
            axes.errorbar(
                values, places, xerr=errors, fmt="o", capsize=3, color=color, label=speaker
            )
        names = [f"{name}\n{task['main'] or ''}" for name, task in tasks.items()]
        axes.set_yticks(range(len(tasks)), names)
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        axes.set_xlabel("score, with its 95 % interval (1.96 standard errors)")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
