"""Frontiers: what arms gain of a reward against the KL divergence from their start that it cost.

A mixture of two policies, of which each answer takes one at random, has the mixture of their rewards
and, since KL(. || start) is convex, at most the mixture of their divergences. What is in reach of a
few policies is therefore their upper concave hull, together with the start itself, at (0, 0).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wim.evaluation.compared.bootstrap import interval, resampled_counts
from wim.evaluation.compared.paired import ALPHA, difference, holm
from wim.statistics import RESAMPLES, Estimate, rank_correlation

Values = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Place:
    """A trained speaker: the curve that it is on, its beta, and its divergence of an answer in nats."""

    curve: str
    beta: float
    kl: float


def reachable(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners of the upper concave hull of points (KL, gain) and (0, 0), by rising KL.

    Gains do not fall along it, since a divergence that may be spent need not be.
    """
    hull: list[tuple[float, float]] = []
    for kl, gain in sorted([(0.0, 0.0), *((max(0.0, kl), gain) for kl, gain in points)]):
        if hull and gain <= hull[-1][1]:
            continue
        while hull and (
            hull[-1][0] == kl
            or (
                len(hull) > 1
                and (hull[-1][1] - hull[-2][1]) * (kl - hull[-2][0])
                <= (gain - hull[-2][1]) * (hull[-1][0] - hull[-2][0])
            )
        ):
            hull.pop()
        hull.append((kl, gain))
    return hull


def by_falling_beta(curve: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The speakers and points of a curve, which a JSON file has in the order of names."""
    return sorted(curve["points"].items(), key=lambda each: (-each[1]["beta"], each[0]))


def area_under(points: Iterable[tuple[float, float]], limit: float) -> float:
    """The mean gain that is in reach at a divergence between 0 and `limit`.

    Args:
        points: (KL, gain) of each policy.
        limit: In nats, above 0.
    """
    import numpy as np

    hull = reachable(points)
    places, gains = [kl for kl, _ in hull], [gain for _, gain in hull]
    corners = [0.0, *(kl for kl in places if 0 < kl < limit), limit]
    # Beyond the last corner the gain stays what it is.
    return float(np.trapezoid(np.interp(corners, places, gains), corners)) / limit


def frontier(
    values: Values, places: Mapping[str, Place], limit: float | None, seed: int
) -> dict[str, Any]:
    """The curves of a reward: their points, the area under each, and whether it rises with 1/beta.

    Args:
        values: By speaker, the reference first, and prompt: rewards.
        places: Of the trained speakers.
        limit: The divergence up to which areas are taken; None takes the largest.
        seed: Of the bootstrap.
    """
    reference = next(iter(values))
    largest = max((place.kl for place in places.values()), default=0.0)
    limit = limit or largest or None
    curves = list(dict.fromkeys(place.curve for place in places.values()))
    found = {
        curve: _curve(
            {speaker: place for speaker, place in places.items() if place.curve == curve},
            *(values, reference, limit, seed),
        )
        for curve in curves
    }
    adjusted = holm({curve: one["from_largest_beta"]["p"] for curve, one in found.items()})
    for curve, one in found.items():
        one["from_largest_beta"] |= {"p_holm": adjusted[curve], "shown": adjusted[curve] <= ALPHA}
    ordered = sorted(
        (curve for curve in found if found[curve]["area"]["value"] is not None),
        key=lambda curve: -found[curve]["area"]["value"],
    )
    return {"kl_limit": limit, "curves": found, "order": ordered}


def _curve(
    places: Mapping[str, Place],
    values: Values,
    reference: str,
    limit: float | None,
    seed: int,
) -> dict[str, Any]:
    """A curve, its points in the order of falling beta."""
    ordered = dict(sorted(places.items(), key=lambda item: -item[1].beta))
    gains = {name: difference(values[name], values[reference], seed) for name in ordered}
    measured = {name: one for name, one in ordered.items() if gains[name].common}
    speakers = list(measured)
    rising = [1 / place.beta for place in measured.values()]
    means = [gains[name].difference.value or 0.0 for name in speakers]
    step = _largest_to_smallest(ordered, values, seed)
    return {
        "points": {
            name: {
                "beta": place.beta,
                "kl": place.kl,
                "gain": asdict(gains[name].difference),
            }
            for name, place in ordered.items()
        },
        "area": asdict(_area(measured, values, reference, limit, seed)),
        "reward_with_1_over_beta": asdict(rank_correlation(rising, means)),
        "kl_with_1_over_beta": asdict(
            rank_correlation(rising, [place.kl for place in measured.values()])
        ),
        "from_largest_beta": step,
    }


def _largest_to_smallest(places: Mapping[str, Place], values: Values, seed: int) -> dict[str, Any]:
    """What the reward rises by from the largest beta to the smallest; of repeats by their means."""
    betas = [place.beta for place in places.values()]
    smallest, largest = (
        _mean_of_repeats([values[name] for name, place in places.items() if place.beta == beta])
        for beta in (min(betas), max(betas))
    )
    of = {"largest": max(betas), "smallest": min(betas)}
    if of["largest"] == of["smallest"]:
        return of | {"rise": asdict(Estimate(None, None, None, 0)), "p": 1.0}
    one = difference(smallest, largest, seed)
    return of | {"rise": asdict(one.difference), "p": one.p_bootstrap}


def _mean_of_repeats(repeats: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean by prompt of several runs, over the prompts that all have."""
    common = [prompt for prompt in repeats[0] if all(prompt in each for each in repeats)]
    return {prompt: sum(each[prompt] for each in repeats) / len(repeats) for prompt in common}


def _area(
    places: Mapping[str, Place],
    values: Values,
    reference: str,
    limit: float | None,
    seed: int,
) -> Estimate:
    """The area, with an interval over the prompts that all speakers of the curve have.

    Prompts are drawn with their rewards; divergences are taken as measured.
    """
    import numpy as np

    common = [
        prompt
        for prompt in values[reference]
        if all(prompt in values[speaker] for speaker in places)
    ]
    if limit is None or not common or not places:
        return Estimate(None, None, None, 0)
    kls = [place.kl for place in places.values()]
    gains = np.array(
        [
            [values[speaker][prompt] - values[reference][prompt] for prompt in common]
            for speaker in places
        ],
        dtype=np.float64,
    )
    whole = area_under(zip(kls, gains.mean(axis=1), strict=True), limit)
    if len(common) < 2:
        return Estimate(whole, None, None, len(common))
    means = np.concatenate(
        [
            counts @ gains.T / len(common)
            for counts in resampled_counts(len(common), RESAMPLES, seed)
        ]
    )
    areas = np.array([area_under(zip(kls, row, strict=True), limit) for row in means])
    return Estimate(whole, *interval(areas), len(common))
