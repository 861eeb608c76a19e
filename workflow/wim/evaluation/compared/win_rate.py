"""Win rates: how often a judge prefers a speaker's answers to the reference's, and how surely."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wim.evaluation.compared.bootstrap import mean_over, share_over, standard_error
from wim.evaluation.compared.outcomes import UNKNOWN, Outcome
from wim.statistics import Estimate, rank_correlation


@dataclass(frozen=True)
class WinRate:
    """A speaker's figures against a reference; all shares are 0 to 1.

    Attributes:
        compared: How many comparisons there are.
        judged: How many have a score in every order; the others are among the failures.
        prompts: How many independent prompts, or clusters of them, the judged are of.
        win_rate: The mean score; a tie counts 1/2, and in two orders each counts a half. The
            interval is a bootstrap's over prompts.
        standard_error: Of the win rate, over prompts.
        wins, losses, ties: Of the judged: the same winner in every order, or neither.
        discrete_win_rate: (wins + ties / 2) / judged.
        identical: Ties of equal answers, which no judge was asked about.
        consistency: The share of those judged in both orders with the same outcome in both.
        position_bias: The share of outcomes for the answer shown first, minus that for the second,
            -1 to 1; of probabilities, how far they lean.
        length_correlation: Spearman's, of the score with how much longer the speaker's answer is.
        length, reference_length: Mean characters of the judged.
        failures: How many comparisons have no score, by cause. None of them is a win.
    """

    compared: int
    judged: int
    prompts: int
    win_rate: Estimate
    standard_error: float | None
    wins: int
    losses: int
    ties: int
    discrete_win_rate: float | None
    identical: int
    consistency: Estimate
    position_bias: Estimate
    length_correlation: Estimate
    length: float | None
    reference_length: float | None
    failures: Mapping[str, int]


def win_rate(outcomes: Sequence[Outcome], seed: int) -> WinRate:
    """The figures of a speaker's outcomes against one reference, by one judge."""
    judged = [one for one in outcomes if one.score is not None]
    scores = [one.score for one in judged if one.score is not None]
    groups = [one.group for one in judged]
    places = [winner(one) for one in judged]
    wins, losses = places.count(1), places.count(-1)
    ties = len(judged) - wins - losses
    both = [_two(one) for one in judged if len(one.scores) == 2 and not one.identical]
    both_groups = [one.group for one in judged if len(one.scores) == 2 and not one.identical]
    return WinRate(
        compared=len(outcomes),
        judged=len(judged),
        prompts=len(set(groups)),
        win_rate=share_over(scores, groups, seed),
        standard_error=standard_error(scores, groups),
        wins=wins,
        losses=losses,
        ties=ties,
        discrete_win_rate=(wins + ties / 2) / len(judged) if judged else None,
        identical=sum(one.identical for one in judged),
        consistency=share_over([float(_sign(a) == _sign(b)) for a, b in both], both_groups, seed),
        position_bias=mean_over([a - b for a, b in both], both_groups, seed),
        length_correlation=length_correlation(judged),
        length=_mean([one.length for one in judged]),
        reference_length=_mean([one.reference_length for one in judged]),
        failures=dict(sorted(_causes(outcomes).items())),
    )


def length_correlation(outcomes: Sequence[Outcome]) -> Estimate:
    """Spearman's correlation of the scores with how much longer the speaker's answers are."""
    leads, scores = [], []
    for one in outcomes:
        if one.score is None or one.length is None or one.reference_length is None:
            continue
        leads.append(float(one.length - one.reference_length))
        scores.append(one.score)
    return rank_correlation(leads, scores)


def by_category(outcomes: Sequence[Outcome], seed: int) -> Mapping[str, WinRate]:
    """The figures of each category that prompts have, in the order of their names."""
    names = sorted({one.category for one in outcomes if one.category is not None})
    return {
        name: win_rate([one for one in outcomes if one.category == name], seed) for name in names
    }


def _sign(score: float) -> int:
    return (score > 0.5) - (score < 0.5)


def winner(one: Outcome) -> int:
    """1 for a win in every order that was judged, -1 for a loss in every order, else 0."""
    signs = {_sign(score) for score in one.scores if score is not None}
    return signs.pop() if len(signs) == 1 else 0


def _two(one: Outcome) -> tuple[float, float]:
    first, second = (score for score in one.scores if score is not None)
    return first, second


def _causes(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(one.cause or UNKNOWN for one in outcomes if one.score is None)


def _mean(lengths: Sequence[int | None]) -> float | None:
    known = [length for length in lengths if length is not None]
    return sum(known) / len(known) if known else None
