"""The plots of the summary: the rewards' distributions, and the course of training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.display.plotting import DASHES, GREY, PALETTE, figure_at

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 40
SCALE_END = 10.0
SMOOTHED_FROM = 40
SMOOTHED_SHARE = 0.05


@dataclass(frozen=True)
class Distribution:
    """A reward's values and differences, in points of the scale 0 to 10.

    Attributes:
        rewards, deltas: Counts (BINS,) over equal bins of 0 to 10; `deltas` without the ties.
    """

    rewards: "np.ndarray[Any, Any]"
    deltas: "np.ndarray[Any, Any]"
    ties: int
    mean: float | None
    mean_delta: float | None


@dataclass(frozen=True)
class Course:
    """An arm's training: (step, value) pairs of each metric; held_out_* are of the eval split."""

    loss_function: str
    loss: Sequence[tuple[int, float]]
    margin: Sequence[tuple[int, float]]
    held_out_loss: Sequence[tuple[int, float]]
    held_out_margin: Sequence[tuple[int, float]]


def histogram(points: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Counts (BINS,) of values in points of the scale 0 to 10; others go to the end bins."""
    import numpy as np

    return np.histogram(np.clip(points, 0, SCALE_END), bins=BINS, range=(0, SCALE_END))[0]


def draw_rewards(distributions: Mapping[str, Distribution], path: Path) -> None:
    """Draw a row for each reward: its values, and the absolute differences within a context."""
    with figure_at(path, 10.0, 0.7 + 1.65 * max(1, len(distributions))) as figure:
        rows = max(1, len(distributions))
        grid = figure.subplots(rows, 2, sharex="col", squeeze=False)
        for place, (name, one) in enumerate(distributions.items()):
            values, differences = grid[place]
            colour = PALETTE[place % len(PALETTE)]
            _draw_values(values, name, one, colour)
            _draw_differences(differences, one, colour)
        grid[-1][0].set_xlabel("reward of a candidate (points: 5 · reward + 5)")
        grid[-1][0].set_xlim(-0.2, SCALE_END + 0.2)
        grid[-1][1].set_xlabel("|Δ| of two candidates of one context (points)")
        last = _last_filled([one.deltas for one in distributions.values()])
        grid[-1][1].set_xlim(-0.95, last + 0.2)
        ticks = range(0, math.ceil(last) + 1, 1 if last <= 6 else 2)
        grid[-1][1].set_xticks([-0.5, *ticks], ["tie", *(str(tick) for tick in ticks)])
        figure.align_ylabels()


def draw_training(courses: Mapping[str, Course], path: Path) -> None:
    """Draw training loss and reward margin over the optimizer's steps, a line for each arm."""
    functions = {course.loss_function for course in courses.values()}
    with figure_at(path, 10.0, 4.3) as figure:
        losses, margins = figure.subplots(1, 2)
        for place, (name, course) in enumerate(courses.items()):
            colour = PALETTE[place % len(PALETTE)]
            dashes = DASHES[place // len(PALETTE) % len(DASHES)]
            label = name if len(functions) < 2 else f"{name} ({course.loss_function})"
            _draw_course(losses, course.loss, colour, dashes, label)
            _draw_course(margins, course.margin, colour, dashes, label)
            _draw_held_out(losses, course.held_out_loss, colour)
            _draw_held_out(margins, course.held_out_margin, colour)
        if "sigmoid" in functions:
            losses.axhline(math.log(2), color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
            losses.annotate(
                "ln 2, the untrained policy",
                (1, math.log(2)),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                color=GREY,
                fontsize=10,
            )
        margins.axhline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        unit = "nats per pair" if functions <= {"sigmoid"} else "each arm's own loss"
        losses.set(title="loss", xlabel="optimizer step", ylabel=f"loss ({unit})")
        margins.set(
            title="reward margin, chosen - rejected",
            xlabel="optimizer step",
            ylabel=r"margin of $\beta\,\log(\pi/\pi_{\mathrm{ref}})$ (nats)",
        )
        for axes in (losses, margins):
            axes.title.set_fontsize(12)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.margins(y=0.12)
            if not courses:
                _write(axes, "no arm was trained")
        _add_legend(figure, losses, courses)


def _draw_values(axes: "Axes", name: str, one: Distribution, colour: str) -> None:
    number = int(one.rewards.sum())
    axes.set_title(name, loc="left", fontsize=11, fontweight="bold", color=colour)
    axes.set_ylabel("candidates (%)", fontsize=9.5)
    if not number:
        _write(axes, "no candidate has a reward")
        return
    _draw_counts(axes, one.rewards, number, colour, one.mean)
    _add_caption(
        axes, f"n = {number:,}\nmean (dashed) {one.mean:.2f}", left=_right_is_full(one.rewards)
    )


def _draw_differences(axes: "Axes", one: Distribution, colour: str) -> None:
    number = int(one.deltas.sum()) + one.ties
    axes.set_ylabel("comparisons (%)", fontsize=9.5)
    if not number:
        _write(axes, "nothing to compare")
        return
    share = 100 * one.ties / number
    axes.bar(-0.5, share, 0.5, color="white", edgecolor=colour, hatch="////")
    _draw_counts(axes, one.deltas, number, colour, one.mean_delta)
    caption = f"n = {number:,}, ties {share:.2f} %\nmean (dashed) {one.mean_delta:.3f}"
    _add_caption(axes, caption, left=False)


def _draw_counts(
    axes: "Axes", counts: "np.ndarray[Any, Any]", number: int, colour: str, mean: float | None
) -> None:
    import numpy as np

    edges = np.linspace(0, SCALE_END, BINS + 1)
    axes.stairs(100 * counts / number, edges, fill=True, color=colour, alpha=0.35)
    axes.stairs(100 * counts / number, edges, color=colour, linewidth=1.2)
    if mean is not None:
        axes.axvline(mean, color="black", linewidth=1.2, linestyle=(0, (4, 2)))
    axes.locator_params(axis="y", nbins=3)
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0)


def _draw_course(
    axes: "Axes", points: Sequence[tuple[int, float]], colour: str, dashes: str, label: str
) -> None:
    """Draw a line with markers if points are few, or with a running mean if they are many."""
    import pandas as pd

    steps, values = [step for step, _ in points], pd.Series([value for _, value in points])
    if len(points) < SMOOTHED_FROM:
        axes.plot(steps, values, dashes, color=colour, label=label, marker="o", markersize=3)
        return
    window = max(3, round(SMOOTHED_SHARE * len(points)))
    smooth = values.rolling(window, center=True, min_periods=1).mean()
    axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
    axes.plot(steps, smooth, dashes, color=colour, linewidth=2, label=label)


def _draw_held_out(axes: "Axes", points: Sequence[tuple[int, float]], colour: str) -> None:
    steps, values = [step for step, _ in points], [value for _, value in points]
    axes.plot(
        steps, values, "D", markerfacecolor="white", markeredgecolor=colour, markersize=7, zorder=4
    )


def _add_legend(figure: "Figure", axes: "Axes", courses: Mapping[str, Course]) -> None:
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    if any(course.held_out_loss or course.held_out_margin for course in courses.values()):
        handles.append(
            Line2D([], [], linestyle="", marker="D", color=GREY, markerfacecolor="white")
        )
        labels.append("held-out pairs")
    if any(len(course.loss) >= SMOOTHED_FROM for course in courses.values()):
        handles.append(Line2D([], [], color=GREY, alpha=0.4, linewidth=0.8))
        labels.append(f"single steps (bold: mean over {SMOOTHED_SHARE:.0%} of them)")
    if handles:
        columns = min(len(handles), 5 if sum(map(len, labels)) < 90 else 3)
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def _add_caption(axes: "Axes", text: str, left: bool) -> None:
    side = (0.02, "left") if left else (0.98, "right")
    axes.text(
        side[0],
        0.95,
        text,
        transform=axes.transAxes,
        ha=side[1],
        va="top",
        fontsize=9.5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5},
    )


def _write(axes: "Axes", text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)
    axes.set_yticks([])


def _right_is_full(counts: "np.ndarray[Any, Any]") -> bool:
    """Whether a distribution peaks on the right, where captions usually are."""
    return bool(counts[BINS // 2 :].max() >= counts[: BINS // 2].max())


def _last_filled(counts: Sequence["np.ndarray[Any, Any]"]) -> float:
    """Where the widest of the distributions ends, at least 1 point."""
    ends = [int(one.nonzero()[0].max()) + 1 for one in counts if one.any()]
    return max(1.0, max(ends, default=0) * SCALE_END / BINS)
