"""A frontier in words and tables: what each curve reaches, and at which divergence."""

from collections.abc import Iterator, Mapping
from typing import Any

from wim.display.markdown import estimate_with_interval, markdown_table, shown
from wim.evaluation.frontier import by_falling_beta
from wim.statistics import Estimate


def frontier_parts(figures: Mapping[str, Any]) -> Iterator[str]:
    """The parts of the page, reward by reward."""
    for reward, one in figures["frontier"].items():
        yield f"## Frontier: {reward}"
        yield "\n".join(
            f"- **{_rise(name, curve['from_largest_beta'])}**"
            for name, curve in one["curves"].items()
        )
        if one["order"]:
            yield (
                f"By the area under the frontier, up to {shown(one['kl_limit'], '.4g')} nats: "
                + ", ".join(one["order"])
                + "."
            )
        yield markdown_table([_curve_row(name, curve) for name, curve in one["curves"].items()], 2)
        yield markdown_table(list(_point_rows(one["curves"], figures["kl"])), 2)
    yield (
        "Gain: the mean reward minus the reference's. Area: the mean gain that is in reach of an "
        "answer's divergence between 0 and the limit, by the upper concave hull of the start and the "
        "points, which mixtures of them reach; its interval is over prompts, with divergences as "
        "measured. With 1/beta: Spearman's correlation over the points of a curve."
    )


def _rise(name: str, step: Mapping[str, Any]) -> str:
    rise, ends = Estimate(**step["rise"]), f"beta {step['largest']:g} to {step['smallest']:g}"
    if rise.value is None:
        return f"{name}: one beta, so no course"
    if not step["shown"]:
        return f"{name}: from {ends} no change is shown ({estimate_with_interval(rise)})"
    verb = "rises" if rise.value > 0 else "falls"
    return (
        f"{name}: from {ends} the reward {verb} by "
        f"{estimate_with_interval(rise)}, p = {step['p_holm']:.2g}"
    )


def _curve_row(name: str, curve: Mapping[str, Any]) -> dict[str, str]:
    return {
        "curve": name,
        "area": estimate_with_interval(Estimate(**curve["area"])),
        "reward with 1/beta": shown(curve["reward_with_1_over_beta"]["value"], ".2f"),
        "KL with 1/beta": shown(curve["kl_with_1_over_beta"]["value"], ".2f"),
        "points": str(len(curve["points"])),
    }


def _point_rows(curves: Mapping[str, Any], kl: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for name, curve in curves.items():
        for speaker, point in by_falling_beta(curve):
            yield {
                "curve": name,
                "speaker": f"`{speaker}`",
                "beta": f"{point['beta']:g}",
                "gain": estimate_with_interval(Estimate(**point["gain"])),
                "KL of an answer": estimate_with_interval(Estimate(**kl[speaker]["answer"])),
                "of a token": shown(kl[speaker]["token"], ".3g"),
                "reverse, of a token": shown(kl[speaker]["reverse_token"], ".3g"),
            }
