"""How well a judge agrees with people: its accuracy, and what else could explain it.

Order, length, ties and chance could. All functions are pure. Means have a 95 % interval from a
bootstrap over pairs by seed; pairs are taken to be independent.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from wim.evaluation.judged_pairs import LabelledPair, PairJudgement, longer_wins
from wim.statistics import Estimate, coin, mean_of


@dataclass(frozen=True)
class PairStatistics:
    """The figures of a judge's judgements of labelled pairs.

    Attributes:
        pairs: How many were labelled.
        judged: How many the judge judged in both orders.
        accuracy: Over judged pairs; each order counts 1, a tie 1/2.
        accuracy_failures_wrong: Over all pairs, a failed order counted as wrong; this is LLMBar's
            figure (Zeng et al. 2023, arXiv 2310.07641).
        accuracy_decided: Over the pairs with a winner in both orders.
        consistency: The share of judged pairs with the same outcome in both orders.
        position_bias: The share of outcomes for the response shown first, minus the share for the
            second, -1 to 1.
        tie_rate: The share of judged pairs without a winner in both orders.
        better_is_shorter, better_is_longer: Accuracy where people prefer the shorter, or the
            longer, response, by characters.
        longer_wins: The accuracy of preferring the longer response, on all pairs.
        chance: A coin's accuracy, with its range on as many pairs as were judged.
        statuses: Counts of the statuses of all calls.
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
    """The figures of a judge's judgements of labelled pairs.

    Raises:
        ValueError: If the judgements are not one for each pair.
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
    """How right a judgement is, 0 to 1, mean of both orders; a tie counts 1/2, a failure 0."""
    values = {pair.better: 1.0, "tie": 0.5}
    return sum(values.get(won or "", 0.0) for won in (judgement.in_order, judgement.swapped)) / 2


def lean_to_first(judgement: PairJudgement) -> float:
    """How far a judgement prefers a position: 1 if the first wins in both orders, -1 the second."""
    in_order = {"a": 1.0, "b": -1.0}.get(judgement.in_order or "", 0.0)
    swapped = {"b": 1.0, "a": -1.0}.get(judgement.swapped or "", 0.0)
    return (in_order + swapped) / 2


def stability(runs: Sequence[Iterable[PairJudgement]], seed: int) -> Estimate:
    """Test-retest: the share of equal winners among every two runs of a judge, mean over pairs.

    A run that failed on a pair does not count for that pair; a pair with fewer than two runs does
    not count at all.
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
    """By how many characters the better response is longer."""
    lead = len(pair.response_a) - len(pair.response_b)
    return lead if pair.better == "a" else -lead
