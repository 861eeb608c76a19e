"""The figure of a frontier: gains against both divergences, a curve for arms that differ in beta."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.display.plotting import DASHES, GREY, PALETTE, figure_at
from wim.evaluation.frontier import by_falling_beta, reachable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Of a speaker on a curve: its gain and beta, and its divergences."""


def draw_frontier(figures: Mapping[str, Any], path: Path) -> None:
    """Draw a row for each reward: gain against KL(policy || start) and KL(start || policy)."""
    rewards = figures["frontier"]
    with figure_at(path, 12.0, 4.3 * max(1, len(rewards))) as figure:
        axes = figure.subplots(max(1, len(rewards)), 2, squeeze=False)
        for row, (reward, one) in zip(axes, rewards.items(), strict=False):
            for number, (name, curve) in enumerate(one["curves"].items()):
                points = [
                    (point, figures["kl"][speaker])
                    for speaker, point in by_falling_beta(curve)
                    if point["gain"]["value"] is not None
                ]
                _draw_curve(row[0], points, name, number)
                _draw_reverse(row[1], points, name, number)
            for each in row:
                each.axhline(0.0, color=GREY, linestyle="--", linewidth=1)
                each.set_xlim(left=0)
                each.set_ylabel(f"{reward} minus that of {figures['reference']}")
            row[0].set_xlabel(
                "KL(policy || start) of an answer, nats\n"
                "numbers: beta; dotted: in reach of mixtures; bars: 95 %"
            )
            row[1].set_xlabel("KL(start || policy) of a token, nats")
            row[0].legend(frameon=False)


def _draw_curve(axes: "Axes", points: Sequence[Point], name: str, number: int) -> None:
    axes.errorbar(
        [kl["answer"]["value"] for _, kl in points],
        [point["gain"]["value"] for point, _ in points],
        xerr=_bars([kl["answer"] for _, kl in points]),
        yerr=_bars([point["gain"] for point, _ in points]),
        capsize=2,
        elinewidth=0.7,
        label=_plain(name),
        **_style(number),
    )
    betas: dict[tuple[float, float], list[str]] = {}
    for point, kl in points:
        place = (kl["answer"]["value"], point["gain"]["value"])
        betas.setdefault(place, []).append(f"{point['beta']:g}")
    for place, equal in betas.items():
        axes.annotate(
            ", ".join(equal),
            place,
            # Above the points of one curve and below those of the next.
            xytext=(5, -12 if number % 2 else 5),
            textcoords="offset points",
            fontsize=8.5,
            color=PALETTE[number % len(PALETTE)],
        )
    hull = reachable((kl["answer"]["value"], point["gain"]["value"]) for point, kl in points)
    axes.plot(*zip(*hull, strict=True), ":", color=PALETTE[number % len(PALETTE)], linewidth=1)


def _draw_reverse(axes: "Axes", points: Sequence[Point], name: str, number: int) -> None:
    known = [(point, kl) for point, kl in points if kl["reverse_token"] is not None]
    axes.errorbar(
        [kl["reverse_token"] for _, kl in known],
        [point["gain"]["value"] for point, _ in known],
        yerr=_bars([point["gain"] for point, _ in known]),
        capsize=2,
        elinewidth=0.7,
        label=_plain(name),
        **_style(number),
    )


def _style(number: int) -> dict[str, Any]:
    return {
        "color": PALETTE[number % len(PALETTE)],
        "linestyle": DASHES[number // len(PALETTE) % len(DASHES)],
        "marker": "o",
        "markersize": 4,
        "linewidth": 1.2,
    }


def _plain(name: str) -> str:
    """A name without what matplotlib would read as mathematics, or leave out of a legend."""
    return "".join(each for each in name if each not in "$^\\").lstrip("_")


def _bars(estimates: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """The two arms of each error bar; of no length where there is no interval."""
    return [
        [0.0 if one["low"] is None else one["value"] - one["low"] for one in estimates],
        [0.0 if one["low"] is None else one["high"] - one["value"] for one in estimates],
    ]
