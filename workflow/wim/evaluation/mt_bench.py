"""MT-Bench (Zheng et al. 2023, arXiv 2306.05685): mean scores, and wins in pairs, by model.

As FastChat computes them: a model's score is the mean over all its judged turns, and of two games
that disagree, or of which one is a tie, the pair is a tie. A failed judgement is no score and no
tie: it is counted by its cause.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from wim.evaluation.compared.bootstrap import mean_over, share_over
from wim.evaluation.compared.outcomes import UNKNOWN, Outcome, swapped
from wim.evaluation.compared.win_rate import win_rate, winner
from wim.evaluation.formats.fastchat import PairwiseJudgement, SingleJudgement
from wim.statistics import Estimate
from wim.tables.ratings import HIGHEST, LOWEST

CREDIT = {"model_1": 1.0, "model_2": 0.0, "tie": 0.5}
Row = TypeVar("Row")
Key = TypeVar("Key", int, str, tuple[str, str])


@dataclass(frozen=True)
class Scores:
    """A model's scores in single grading, by one judge.

    Attributes:
        mean: Over all judged turns, with its interval over questions.
        by_turn, by_category: The same of one turn, or of one category of questions.
        failures: How many judgements have no score, by cause.
        outside: How many scores are outside of 1 to 10; they count, as published.
        repeated: How many judgements are of a question and turn that has an earlier one; they
            count as well.
    """

    model: str
    judge: str
    mean: Estimate
    by_turn: Mapping[int, Estimate]
    by_category: Mapping[str, Estimate]
    failures: Mapping[str, int]
    outside: int
    repeated: int


@dataclass(frozen=True)
class Wins:
    """A model's wins in pairs, by one judge, over all its opponents.

    Attributes:
        win_rate, loss_rate: Shares of the judged pairs; of 0 pairs, null.
        adjusted: (wins + ties / 2) / n, with its interval over questions.
        by_turn, by_category: The same of one turn, or of one category.
        consistency, position_bias: As of win rates in both orders.
        failures: How many pairs have no verdict, by cause.
        repeated: How many judgements are of a question, turn and opponent that have an earlier one;
            they count as well.
    """

    model: str
    judge: str
    wins: int
    losses: int
    ties: int
    win_rate: float | None
    loss_rate: float | None
    adjusted: Estimate
    by_turn: Mapping[int, Estimate]
    by_category: Mapping[str, Estimate]
    consistency: Estimate
    position_bias: Estimate
    failures: Mapping[str, int]
    repeated: int


def single_scores(
    judgements: Iterable[SingleJudgement], categories: Mapping[str, str], seed: int
) -> list[Scores]:
    """The scores of each judge's models, best first.

    Args:
        judgements: Of single grading.
        categories: By question_id; questions without one are in no category.
        seed: Of the bootstrap.
    """

    def mean(some: Sequence[SingleJudgement]) -> Estimate:
        scores = [one.score for one in some if one.score is not None]
        return mean_over(scores, [one.question_id for one in some], seed)

    found = []
    for (judge, model), rows in _grouped(judgements, lambda one: (one.judge, one.model)).items():
        judged = [one for one in rows if one.score is not None]
        failed = [one for one in rows if one.score is None]
        of_categories = [one for one in judged if one.question_id in categories]
        found.append(
            Scores(
                model=model,
                judge=judge,
                mean=mean(judged),
                by_turn=_each(mean, judged, lambda one: one.turn),
                by_category=_each(mean, of_categories, lambda one: categories[one.question_id]),
                failures=dict(sorted(Counter(one.cause or UNKNOWN for one in failed).items())),
                outside=sum(not LOWEST <= (one.score or 0) <= HIGHEST for one in judged),
                repeated=len(rows) - len({(one.question_id, one.turn) for one in rows}),
            )
        )
    return sorted(found, key=lambda one: (one.judge, -(one.mean.value or 0), one.model))


def pair_scores(
    judgements: Iterable[PairwiseJudgement],
    categories: Mapping[str, str],
    seed: int,
    baseline: str | None = None,
) -> list[Wins]:
    """The wins of each judge's models, best first.

    Args:
        judgements: Of pairs.
        categories: By question_id; questions without one are in no category.
        seed: Of the bootstrap.
        baseline: Only pairs with this model count, and it has no figures of its own.
    """

    def adjusted(some: Sequence[Side]) -> Estimate:
        credits = [(winner(one.outcome) + 1) / 2 for one in some]
        return share_over(credits, [one.outcome.prompt_id for one in some], seed)

    sides = [side for one in judgements for side in _sides(one, baseline)]
    found = []
    for (judge, model), rows in _grouped(sides, lambda one: (one.judge, one.model)).items():
        judged = [one for one in rows if one.outcome.score is not None]
        of_categories = [one for one in judged if one.outcome.prompt_id in categories]
        figures = win_rate([one.outcome for one in rows], seed)
        found.append(
            Wins(
                model=model,
                judge=judge,
                wins=figures.wins,
                losses=figures.losses,
                ties=figures.ties,
                win_rate=figures.wins / len(judged) if judged else None,
                loss_rate=figures.losses / len(judged) if judged else None,
                adjusted=adjusted(judged),
                by_turn=_each(adjusted, judged, lambda one: one.turn),
                by_category=_each(
                    adjusted, of_categories, lambda one: categories[one.outcome.prompt_id]
                ),
                consistency=figures.consistency,
                position_bias=figures.position_bias,
                failures=figures.failures,
                repeated=len(rows)
                - len({(one.outcome.prompt_id, one.turn, one.opponent) for one in rows}),
            )
        )
    return sorted(found, key=lambda one: (one.judge, -(one.adjusted.value or 0), one.model))


@dataclass(frozen=True)
class Side:
    """A pair as one of its models fared."""

    judge: str
    model: str
    opponent: str
    turn: int
    outcome: Outcome


def _sides(one: PairwiseJudgement, baseline: str | None) -> list[Side]:
    if baseline is not None and baseline not in (one.model_1, one.model_2):
        return []
    scores = tuple(CREDIT[won] if won else None for won in (one.in_order, one.swapped))
    outcome = Outcome(
        prompt_id=one.question_id,
        scores=scores[:1] if one.one_verdict else scores,
        cause=one.cause,
    )
    (other,) = swapped([outcome])
    return [
        Side(one.judge, model, opponent, one.turn, side)
        for model, opponent, side in (
            (one.model_1, one.model_2, outcome),
            (one.model_2, one.model_1, other),
        )
        if model != baseline
    ]


def _each(
    figure: Callable[[Sequence[Row]], Estimate],
    rows: Iterable[Row],
    key: Callable[[Row], Key],
) -> dict[Key, Estimate]:
    return {name: figure(some) for name, some in _grouped(rows, key).items()}


def _grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """The rows by their keys, in the keys' order."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {name: groups[name] for name in sorted(groups)}
