"""A judge beside people: accuracy, and what may stand behind it (order, length, ties, chance).

All functions are pure. Means have a 95 % interval from a bootstrap over pairs (Efron 1979, the
percentile form) by seed. It takes pairs for independent, and has no width where all are alike.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from wim.evaluation.judged_pairs import LabelledPair, PairJudgement, longer_wins

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over n pairs with its 95 % interval; null where n is 0."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class PairStatistics:
    """A judge's verdicts on labelled pairs. A judged pair has a verdict in both orders.

    accuracy: over judged pairs; each order counts 1, a tie 1/2. accuracy_failures_wrong: over all
    pairs, a failed order counted as wrong; this is LLMBar's figure (Zeng et al. 2023,
    arXiv 2310.07641). accuracy_decided: over the pairs with a winner in both orders. consistency:
    share of judged pairs with the same verdict in both orders. position_bias: share of verdicts for
    the response shown first, less that for the second, -1..1. tie_rate: share of judged pairs
    without a winner in both orders. better_is_shorter, better_is_longer: accuracy where people
    prefer that response, by characters. longer_wins: accuracy of preferring the longer one, on
    all pairs. chance: of a coin, with the range of its accuracy on as many pairs as were judged.
    statuses: of all calls.
    """

    pairs: int
    judged: int
    accuracy: Estimate
    accuracy_failures_wrong: Estimate
    accuracy_decided: Estimate
    consistency: Estimate
    position_bias: Estimate
    tie_rate: Estimate
    better_is_shorter: Estimate
    better_is_longer: Estimate
    longer_wins: Estimate
    chance: Estimate
    statuses: Mapping[str, int]


def pair_statistics(
    pairs: Sequence[LabelledPair], judgements: Iterable[PairJudgement], seed: int
) -> PairStatistics:
    """What a judge's verdicts on labelled pairs come to.

    Raises ValueError if the judgements are not one for each pair.
    """
    of = _by_pair(pairs, judgements)
    judged = [pair for pair in pairs if of[pair.pair_id].winner]
    tied = {pair.pair_id: of[pair.pair_id].winner == "tie" for pair in judged}

    def accuracy(some: Sequence[LabelledPair]) -> Estimate:
        return mean_of([credit(pair, of[pair.pair_id]) for pair in some], seed)

    longer = {one.pair_id: one for one in longer_wins(pairs)}
    return PairStatistics(
        pairs=len(pairs),
        judged=len(judged),
        accuracy=accuracy(judged),
        accuracy_failures_wrong=accuracy(pairs),
        accuracy_decided=accuracy([pair for pair in judged if not tied[pair.pair_id]]),
        consistency=mean_of([_consistent(of[pair.pair_id]) for pair in judged], seed),
        position_bias=mean_of([lean_to_first(of[pair.pair_id]) for pair in judged], seed),
        tie_rate=mean_of([float(tie) for tie in tied.values()], seed),
        better_is_shorter=accuracy([pair for pair in judged if _better_by(pair) < 0]),
        better_is_longer=accuracy([pair for pair in judged if _better_by(pair) > 0]),
        longer_wins=mean_of([credit(pair, longer[pair.pair_id]) for pair in pairs], seed),
        chance=coin(len(judged)),
        statuses=dict(sorted(Counter(s for one in of.values() for s in one.statuses).items())),
    )


def credit(pair: LabelledPair, judgement: PairJudgement) -> float:
    """How right a judgement is, 0..1, mean of both orders; a tie is half right, a failure wrong."""
    values = {pair.better: 1.0, "tie": 0.5}
    return sum(values.get(won or "", 0.0) for won in (judgement.in_order, judgement.swapped)) / 2


def lean_to_first(judgement: PairJudgement) -> float:
    """How far a judgement goes with the place: 1 if the first wins in both orders, -1 the second."""
    in_order = {"a": 1.0, "b": -1.0}.get(judgement.in_order or "", 0.0)
    swapped = {"b": 1.0, "a": -1.0}.get(judgement.swapped or "", 0.0)
    return (in_order + swapped) / 2


def stability(runs: Sequence[Iterable[PairJudgement]], seed: int) -> Estimate:
    """Test-retest: the share of equal winners among every two runs of a judge, mean over pairs.

    A run that failed on a pair is left out there, a pair with fewer than two runs altogether.
    """
    winners: dict[str, list[str]] = {}
    for run in runs:
        for judgement in run:
            if judgement.winner:
                winners.setdefault(judgement.pair_id, []).append(judgement.winner)
    shares = []
    for found in winners.values():
        same = [one == other for one, other in combinations(found, 2)]
        if same:
            shares.append(sum(same) / len(same))
    return mean_of(shares, seed)


def mean_of(values: Sequence[float], seed: int) -> Estimate:
    """The mean of some values with its bootstrap interval, by seed.

    Resamples differ only in how often each distinct value occurs, which is multinomial; so memory
    goes with the distinct values, not with n.
    """
    import numpy as np

    if not values:
        return Estimate(None, None, None, 0)
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    draws = np.random.default_rng(seed).multinomial(
        len(values), counts / len(values), size=RESAMPLES
    )
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(draws @ distinct / len(values), tails)
    mean = float(counts @ distinct) / len(values)
    return Estimate(mean, float(low), float(high), len(values))


def mean_over_groups(values: "np.ndarray[Any, Any]", groups: "np.ndarray[Any, Any]") -> Estimate:
    """The mean of the groups' means, with the normal interval over groups, which are independent.

    values: (rows,), NaN left out. groups: (rows,). For many rows, where a bootstrap takes long.
    """
    import numpy as np
    import pandas as pd
    from scipy.stats import norm

    means = pd.Series(values).groupby(groups).mean().dropna().to_numpy(np.float64)
    if not len(means):
        return Estimate(None, None, None, 0)
    mean = float(means.mean())
    if len(means) < 2:
        return Estimate(mean, None, None, 1)
    half = float(norm.ppf((1 + LEVEL) / 2) * means.std(ddof=1) / np.sqrt(len(means)))
    return Estimate(mean, mean - half, mean + half, len(means))


def rank_correlation(values: Sequence[float], others: Sequence[float]) -> Estimate:
    """Spearman's correlation of n values with n others; null where one of them does not vary.

    The interval is Fisher's, with the variance of Bonett and Wright (2000, Psychometrika 65).
    """
    import math

    from scipy.stats import norm, spearmanr

    n = len(values)
    if n < 2 or len(set(values)) < 2 or len(set(others)) < 2:
        return Estimate(None, None, None, n)
    found = float(spearmanr(values, others).statistic)
    if n < 4 or abs(found) > 1 - 1e-12:
        return Estimate(found, None, None, n) if n < 4 else Estimate(found, found, found, n)
    half = float(norm.ppf((1 + LEVEL) / 2)) * math.sqrt((1 + found**2 / 2) / (n - 3))
    low, high = (math.tanh(math.atanh(found) + side * half) for side in (-1, 1))
    return Estimate(found, low, high, n)


def coin(n: int) -> Estimate:
    """The accuracy of a coin, and the range that holds it on n pairs 95 times of 100 (binomial)."""
    from scipy.stats import binom

    if not n:
        return Estimate(0.5, None, None, 0)
    low, high = binom.interval(LEVEL, n, 0.5)
    return Estimate(0.5, float(low) / n, float(high) / n, n)


def _by_pair(
    pairs: Sequence[LabelledPair], judgements: Iterable[PairJudgement]
) -> dict[str, PairJudgement]:
    given = list(judgements)
    of = {one.pair_id: one for one in given}
    if len(of) < len(given) or set(of) != {pair.pair_id for pair in pairs}:
        raise ValueError(
            f"{len(given)} judgements of {len(of)} pairs are not one for each of {len(pairs)} pairs"
        )
    return of


def _consistent(judgement: PairJudgement) -> float:
    return float(judgement.in_order == judgement.swapped)


def _better_by(pair: LabelledPair) -> int:
    """Characters that the better response is longer by."""
    lead = len(pair.response_a) - len(pair.response_b)
    return lead if pair.better == "a" else -lead
