"""The figure of an evaluation: what each speaker gains, and against it what it cost in KL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.display.plotting import GREY, PALETTE, figure_at
from wim.tables.ratings import HIGHEST, LOWEST

ROW = 0.42
EVEN = 0.5


@dataclass(frozen=True)
class Panel:
    """What the speakers gain.

    Attributes:
        label: What is gained.
        points: Estimates by speaker.
        neutral: What stands for no difference; None where nothing does.
        limits: Of the figure's axis, None where it follows the points.
    """

    label: str
    points: Mapping[str, Mapping[str, Any]]
    neutral: float | None
    limits: tuple[float, float] | None = None


def draw_evaluation(figures: Mapping[str, Any], path: Path) -> None:
    """Draw a panel with a row for each speaker, of rewards one for each reward.

    Where divergences were measured, the frontier is beside it: a point for each trained speaker, by
    its divergence from where it started.
    """
    panels, kl = list(_panels(figures)), figures["kl"]
    rows = sum(len(panel.points) for panel in panels)
    height = max(1.4 * len(panels) + ROW * rows, 3.2 * len(panels) * bool(kl))
    with figure_at(path, 12.5 if kl else 7.5, height) as figure:
        axes = figure.subplots(len(panels), 2 if kl else 1, squeeze=False)
        for place, panel in enumerate(panels):
            _draw_rows(axes[place, 0], panel)
            if kl:
                _draw_frontier(axes[place, 1], panel, kl)


def _panels(figures: Mapping[str, Any]) -> Iterator[Panel]:
    reference = figures["reference"]
    if figures["kind"] == "mt_bench":
        yield _of_questions(figures)
    elif figures["kind"] == "win_rate":
        points = {name: one["win_rate"] for name, one in figures["speakers"].items()}
        yield Panel(f"win rate against {reference}", points, EVEN, (0, 1))
    else:
        for reward, speakers in figures["rewards"].items():
            points = {
                name: one["difference"]["difference"]
                for name, one in speakers.items()
                if "difference" in one
            }
            yield Panel(f"{reward} minus that of {reference}", points, 0.0)


def _of_questions(figures: Mapping[str, Any]) -> Panel:
    """A row for each speaker and each of its turns."""
    single = figures["mode"] == "single"
    points = {}
    for name, one in figures["speakers"].items():
        points[name] = one["mean" if single else "adjusted"]
        points |= {f"{name}, turn {turn}": each for turn, each in one["by_turn"].items()}
    if not single:
        return Panel(f"adjusted win rate against {figures['reference']}", points, EVEN, (0, 1))
    reference = figures["speakers"].get(figures["reference"])
    equal = reference["mean"]["value"] if reference else None
    return Panel("mean grade", points, equal, (LOWEST, HIGHEST))


def _draw_rows(axes: Any, panel: Panel) -> None:
    if panel.neutral is not None:
        axes.axvline(panel.neutral, color=GREY, linestyle="--", linewidth=1)
    for place, one in enumerate(panel.points.values()):
        if one["value"] is not None:
            axes.errorbar(
                *(one["value"], place), xerr=_bars(one), fmt="o", capsize=3, color=PALETTE[0]
            )
    axes.set_yticks(range(len(panel.points)), list(panel.points))
    axes.set_ylim(len(panel.points) - 0.5, -0.5)
    if panel.limits:
        axes.set_xlim(*panel.limits)
    axes.set_xlabel(f"{panel.label}\n95 % interval; dashed: equal")


def _draw_frontier(axes: Any, panel: Panel, kl: Mapping[str, Any]) -> None:
    if panel.neutral is not None:
        axes.axhline(panel.neutral, color=GREY, linestyle="--", linewidth=1)
    for place, (speaker, one) in enumerate(kl.items()):
        gain, cost = panel.points.get(speaker, {"value": None}), one["answer"]
        if gain["value"] is None or cost["value"] is None:
            continue
        axes.errorbar(
            *(cost["value"], gain["value"]),
            xerr=_bars(cost),
            yerr=_bars(gain),
            fmt="o",
            capsize=3,
            color=PALETTE[place % len(PALETTE)],
            label=speaker,
        )
    axes.set_xlim(left=0)
    axes.set_xlabel("KL(policy || start) of an answer, nats")
    axes.set_ylabel(panel.label)
    axes.legend(frameon=False)


def _bars(one: Mapping[str, Any]) -> list[list[float]]:
    """The two arms of an error bar; of no length where there is no interval."""
    if one["low"] is None:
        return [[0.0], [0.0]]
    return [[one["value"] - one["low"]], [one["high"] - one["value"]]]
