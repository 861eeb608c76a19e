"""An evaluation's figures for trackers: single numbers by name."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wim.display.json_files import read_json, write_json
from wim.trackers import write_figures

# What an estimate or a share is, beside its interval and its number of rows.
POINT = ("value", "share")
BESIDE = {"low", "high", "n"}


def track_evaluation(
    figures: Path, name: str, trackers: Sequence[str], folder: Path, output: Path
) -> None:
    """Write an evaluation's figures to TensorBoard and to the other trackers that are wanted.

    Args:
        figures: The evaluation's JSON file.
        name: The evaluation's.
        trackers: comet, wandb, trackio.
        folder: Where event files and offline runs go.
        output: Takes the numbers that were written, as JSON.

    Raises:
        UserError: A tracker's package is not installed.
    """
    numbers = dict(numbers_of(read_json(figures)))
    write_figures(numbers, f"evaluation-{name}", folder, trackers)
    write_json(output, numbers)


def numbers_of(figures: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in an evaluation's figures, each by its path: of an interval, its middle."""
    if isinstance(figures, bool):
        return
    if isinstance(figures, int | float):
        yield name, float(figures)
    elif isinstance(figures, Mapping):
        point = next((key for key in POINT if key in figures), None)
        if point is not None and set(figures) & BESIDE:
            yield from numbers_of(figures[point], name)
            return
        for key, value in figures.items():
            yield from numbers_of(value, f"{name}/{key}".removeprefix("/"))
