"""The numbers of the summary: of each reward, of each judge's statuses, and of each training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.reports.candidates import CandidateNumbers
from wim.reports.figures import Course, Distribution, histogram
from wim.rewards.ties import without_noise
from wim.settings.rewards import RewardSettings
from wim.statistics import Share, differences, rank_correlation
from wim.tables.files import read_tables
from wim.tables.ratings import Status
from wim.tables.schemas import RATINGS


@dataclass(frozen=True)
class RewardSummary:
    """A reward's figures; mean, sd (n - 1) and mean_delta are in points of the scale 0 to 10.

    `judge` is null where the reward reads no judge.
    """

    judge: str | None
    kind: str
    zeta: float | None
    rating: str
    candidates: int
    with_reward: int
    mean: float | None
    sd: float | None
    comparisons: int
    ties: Share
    mean_delta: float | None
    number_ties: Share
    agreement: Share
    agreement_ties_counted: Share
    length_spearman: float | None


@dataclass(frozen=True)
class TrainingSummary:
    """An arm's training and its pairs; null where a metric was not logged."""

    reward: str
    loss_function: str
    steps: int
    loss_first: float | None
    loss_last: float | None
    margin_first: float | None
    margin_last: float | None
    accuracy_last: float | None
    held_out_accuracy: float | None
    held_out_margin: float | None
    pairs: Mapping[str, int]
    candidates: int
    excluded: Mapping[str, int]
    cut: Mapping[str, int]


def describe_reward(
    path: Path, candidates: CandidateNumbers, settings: RewardSettings
) -> tuple[RewardSummary, Distribution]:
    """The figures of a rewards table, and the distributions to plot.

    Raises:
        UserError: For candidates that are in none of the dialogues tables.
    """
    import numpy as np

    rows, columns = candidates.rewards(path, ["reward", "rating_scaled"])
    usable = ~np.isnan(columns[0])
    values = np.column_stack(columns)[usable]
    context, length = candidates.context[usable], candidates.completion_tokens[usable]
    points = 5 * values[:, 0] + 5
    counts = np.zeros(5, dtype=np.int64)
    deltas, total = histogram(points[:0]), 0.0
    for difference in map(without_noise, differences(values, context)):
        delta, number = 5 * np.abs(difference[:, 0]), difference[:, 1]
        tied, numbered = delta == 0, ~np.isnan(number)
        untied = numbered & (number != 0)
        agrees = untied & (np.sign(difference[:, 0]) == np.sign(number))
        events = (tied, numbered, untied, agrees, tied & untied)
        counts += [np.count_nonzero(event) for event in events]
        deltas += histogram(delta[~tied])
        total += float(delta.sum())
    ties, with_number, untied_number, agreeing, forgiven = counts.tolist()
    compared = int(deltas.sum()) + ties
    mean = float(points.mean()) if len(points) else None
    mean_delta = total / compared if compared else None
    return RewardSummary(
        judge=settings.judge or " + ".join(settings.of) or None,
        kind=settings.kind,
        zeta=settings.zeta,
        rating=settings.rating,
        candidates=rows,
        with_reward=len(points),
        mean=mean,
        sd=float(points.std(ddof=1)) if len(points) > 1 else None,
        comparisons=compared,
        ties=Share.of(ties, compared),
        mean_delta=mean_delta,
        number_ties=Share.of(with_number - untied_number, with_number),
        agreement=Share.of(agreeing, untied_number),
        agreement_ties_counted=Share.of(agreeing + forgiven, untied_number),
        length_spearman=rank_correlation(points, length).value,
    ), Distribution(histogram(points), deltas, ties, mean, mean_delta)


def count_statuses(ratings: Iterable[str | Path]) -> dict[str, dict[str, int]]:
    """For each judge, how many of its judgements have each status."""
    table = read_tables(ratings, RATINGS, ["judge", "status"])
    groups = table.group_by(["judge", "status"]).aggregate([([], "count_all")]).to_pylist()
    statuses = [str(status) for status in Status if status is not Status.UNREADABLE]
    counts = {group["judge"]: dict.fromkeys(statuses, 0) for group in groups}
    for group in groups:
        counts[group["judge"]][group["status"]] = group["count_all"]
    return dict(sorted(counts.items()))


def training_course(rows: Sequence[Mapping[str, Any]], loss_function: str) -> Course:
    """Loss and margin by step, from the rows that TRL's trainer logs; nulls are left out."""
    return Course(
        loss_function=loss_function,
        loss=_logged(rows, "loss"),
        margin=_logged(rows, "rewards/margins"),
        held_out_loss=_logged(rows, "eval_loss"),
        held_out_margin=_logged(rows, "eval_rewards/margins"),
    )


def describe_training(
    course: Course, rows: Sequence[Mapping[str, Any]], counts: Mapping[str, Any], reward: str
) -> TrainingSummary:
    """An arm's figures, from its course, the trainer's rows and the counts next to its pairs."""
    return TrainingSummary(
        reward=reward,
        loss_function=course.loss_function,
        steps=max((step for step, _ in course.loss), default=0),
        loss_first=_value(course.loss, 0),
        loss_last=_value(course.loss, -1),
        margin_first=_value(course.margin, 0),
        margin_last=_value(course.margin, -1),
        accuracy_last=_value(_logged(rows, "rewards/accuracies"), -1),
        held_out_accuracy=_value(_logged(rows, "eval_rewards/accuracies"), -1),
        held_out_margin=_value(course.held_out_margin, -1),
        pairs=counts["pairs"],
        candidates=counts["candidates"],
        excluded=counts["excluded"],
        cut=counts["cut"],
    )


def _logged(rows: Iterable[Mapping[str, Any]], metric: str) -> list[tuple[int, float]]:
    return [(row["step"], row[metric]) for row in rows if row.get(metric) is not None]


def _value(points: Sequence[tuple[int, float]], place: int) -> float | None:
    return points[place][1] if points else None
