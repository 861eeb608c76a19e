"""The figure of a discovery: fitness over generations, and the losses' curves side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.display.plotting import DASHES, GREY, PALETTE, figure_at
from wim.experiments.discovery.archive import Archived
from wim.settings.discovery import FitnessSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN = 12
"""The most losses whose curves are drawn: the best."""
TALLEST = 6.0


def draw_discovery(
    rows: Sequence[Archived],
    shapes: Mapping[str, Mapping[str, Any]],
    fitness: FitnessSettings,
    path: Path,
) -> None:
    """Draw the fitness of each loss by its generation, with the best so far, and the best losses."""
    sign = 1.0 if fitness.direction == "max" else -1.0
    known = [(row, row.fitness) for row in rows if row.fitness is not None]
    with figure_at(path, 11.0, 4.3) as figure:
        course, curves = figure.subplots(1, 2)
        _draw_course(course, known, sign)
        course.set_ylabel(fitness.figure)
        ranked = sorted(known, key=lambda each: (-sign * each[1], each[0].number))[:DRAWN]
        for place, (row, _) in enumerate(ranked):
            points = shapes[row.candidate or ""]["curve"]
            at_zero = min(points, key=lambda point: abs(point[0]))[1]
            shown = [(rho, loss - at_zero) for rho, loss in points]
            curves.plot(
                *zip(*shown, strict=True),
                color=PALETTE[place % len(PALETTE)],
                linestyle=DASHES[place // len(PALETTE) % len(DASHES)],
                label=_label(row),
            )
        curves.set_ylim(-TALLEST, TALLEST)
        curves.set_xlabel("difference of log-ratios of one pair (nats)")
        curves.set_ylabel("loss minus its value at the reference")
        if ranked:
            curves.legend(frameon=False, fontsize=8.5)


def _draw_course(axes: "Axes", known: Sequence[tuple[Archived, float]], sign: float) -> None:
    for place, baseline in enumerate((True, False)):
        own = [(row, value) for row, value in known if (row.generation == 0) == baseline]
        axes.errorbar(
            [row.generation for row, _ in own],
            [value for _, value in own],
            yerr=[row.standard_error or 0.0 for row, _ in own],
            fmt="o",
            capsize=3,
            color=GREY if baseline else PALETTE[place - 1],
            label="baselines" if baseline else "proposed",
        )
    best, so_far = [], None
    for row, value in sorted(known, key=lambda each: each[0].number):
        so_far = value if so_far is None or sign * value > sign * so_far else so_far
        best.append((row.generation, so_far))
    if best:
        axes.step(*zip(*best, strict=True), where="post", color=PALETTE[1], label="best so far")
        axes.legend(frameon=False, fontsize=8.5)
    axes.set_xlabel("generation")
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]


def _label(row: Archived) -> str:
    """A loss in the legend, without what matplotlib would read as mathematics."""
    name = "".join(each for each in row.name or "" if each.isprintable() and each not in "$_^\\")
    return f"{name[:30]} ({row.fitness:.4g})"
