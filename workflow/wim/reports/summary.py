"""The summary: what the judges and rewards did, and how training went, in figures and words."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wim.errors import UserError
from wim.evaluation.audit import read_audit
from wim.evaluation.audit_figure import draw_critiques
from wim.judging.parse import Status
from wim.reports.controls import beside_controls
from wim.reports.figures import Course, Distribution, draw_rewards, draw_training, histogram
from wim.reports.summary_text import PUBLISHED, summary_text
from wim.reports.trained import trained_text
from wim.settings.rewards import RewardSettings
from wim.statistics import Share, differences, rank_correlation
from wim.tables.files import read_candidates, read_table, read_tables
from wim.tables.metrics import write_json
from wim.tables.schemas import RATINGS, REWARDS

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
CONTEXT = ("prompt_id", "dialogue_id", "turn", "speaker")


class SummaryFiles(Protocol):
    """Where the summary goes: JSON, Markdown, and two SVG figures."""

    table: str
    text: str
    rewards: str
    critiques: str
    training: str


@dataclass(frozen=True)
class RewardSummary:
    """A reward's figures. Means and the deviation (n - 1) in points of the scale 0 to 10."""

    judge: str
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
    """An arm's training and its pairs. A null is a metric that was not logged."""

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


def write_summary(
    dialogues: Sequence[str | Path],
    ratings: Sequence[str | Path],
    rewards: Sequence[str | Path],
    exclusions: Sequence[str | Path],
    metrics: Sequence[str | Path],
    audits: Sequence[str | Path],
    reward_settings: Mapping[str, Mapping[str, Any]],
    arms: Mapping[str, Mapping[str, str]],
    output: SummaryFiles,
    trained: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write summary.json, summary.md and the three figures; the same tables give the same bytes.

    rewards: <reward>.parquet. exclusions, metrics: <arm>/round<r>.exclusions.json and
    <arm>/round<r>/metrics.jsonl, in one order. audits: <judge>.json of each judge. arms: `reward`
    and `loss` of each arm, or by the name <arm>-round<r> of each of its rounds. trained: figures of
    other trained models (see wim.reports.trained).
    """
    candidates = contexts_and_lengths(dialogues)
    described, distributions = {}, {}
    kinds = {name: str(told.get("kind", "mixture")) for name, told in reward_settings.items()}
    controls = beside_controls(list(map(Path, rewards)), kinds, candidates)
    audited = {path.stem: read_audit(path) for path in map(Path, audits)}
    for path in map(Path, rewards):
        settings = RewardSettings.model_validate(reward_settings[path.stem])
        described[path.stem], distributions[path.stem] = describe_reward(path, candidates, settings)
    courses, training = {}, {}
    for counts, log in zip(map(Path, exclusions), map(Path, metrics), strict=True):
        arm = counts.parent.name
        if arm not in arms:
            arm = f"{arm}-{counts.name.partition('.')[0]}"
        rows = [_parsed(line, log) for line in log.read_text(encoding="utf-8").splitlines()]
        pairs = _parsed(counts.read_text(encoding="utf-8"), counts)
        courses[arm] = training_course(rows, arms[arm]["loss"])
        training[arm] = describe_training(courses[arm], rows, pairs, arms[arm]["reward"])
    statuses = count_statuses(ratings)
    summary = {"published": PUBLISHED, "statuses": statuses, **(trained or {})}
    summary["rewards"] = {name: asdict(one) for name, one in described.items()}
    summary["controls"] = {
        name: {control: asdict(share) for control, share in of.items()}
        for name, of in controls.items()
    }
    summary["critiques"] = {judge: asdict(audit) for judge, audit in audited.items()}
    summary["training"] = {name: asdict(one) for name, one in training.items()}
    draw_rewards(distributions, Path(output.rewards))
    draw_critiques(audited, Path(output.critiques))
    draw_training(courses, Path(output.training))
    figures = [Path(place).name for place in (output.rewards, output.critiques, output.training)]
    text = summary_text(described, controls, statuses, audited, training, *figures)
    text += trained_text(trained or {})
    write_json(output.table, summary)
    Path(output.text).parent.mkdir(parents=True, exist_ok=True)
    Path(output.text).write_text(text, encoding="utf-8")
    logger.info("summary: %d rewards, %d arms: %s", len(described), len(training), output.text)


def contexts_and_lengths(dialogues: Iterable[str | Path]) -> "pd.DataFrame":
    """Each candidate's context, as a number, and completion_tokens; the index is candidate_id."""
    import pyarrow as pa

    columns = ["candidate_id", *CONTEXT, "completion_tokens"]
    frame = pa.concat_tables([read_candidates(path, columns) for path in dialogues]).to_pandas()
    frame["context"] = frame.groupby(list(CONTEXT), sort=False).ngroup()
    indexed: pd.DataFrame = frame.set_index("candidate_id")[["context", "completion_tokens"]]
    return indexed


def describe_reward(
    path: Path, candidates: "pd.DataFrame", settings: RewardSettings
) -> tuple[RewardSummary, Distribution]:
    """The figures of a rewards table, and its distributions for the figure."""
    import numpy as np

    frame = read_table(path, REWARDS, ["candidate_id", "rating_scaled", "reward"]).to_pandas()
    known = frame["candidate_id"].isin(candidates.index)
    if not known.all():
        raise UserError(
            f"{path}: {(~known).sum()} candidates, first {frame['candidate_id'][~known].iloc[0]}, "
            "are in none of the dialogues tables. Delete the file and run again."
        )
    usable = frame[frame["reward"].notna()].join(candidates, on="candidate_id")
    points = 5 * usable["reward"].to_numpy(np.float64) + 5
    values = usable[["reward", "rating_scaled"]].to_numpy(np.float64)
    counts = np.zeros(5, dtype=np.int64)
    deltas, total = histogram(points[:0]), 0.0
    for difference in differences(values, usable["context"].to_numpy()):
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
        judge=settings.judge or " + ".join(settings.of),
        kind=settings.kind,
        zeta=settings.zeta,
        rating=settings.rating,
        candidates=len(frame),
        with_reward=len(usable),
        mean=mean,
        sd=float(points.std(ddof=1)) if len(points) > 1 else None,
        comparisons=compared,
        ties=Share.of(ties, compared),
        mean_delta=mean_delta,
        number_ties=Share.of(with_number - untied_number, with_number),
        agreement=Share.of(agreeing, untied_number),
        agreement_ties_counted=Share.of(agreeing + forgiven, untied_number),
        length_spearman=rank_correlation(points, usable["completion_tokens"].to_numpy()).value,
    ), Distribution(histogram(points), deltas, ties, mean, mean_delta)


def count_statuses(ratings: Iterable[str | Path]) -> dict[str, dict[str, int]]:
    """For each judge, how many of its judgements have each status."""
    table = read_tables(ratings, RATINGS, ["judge", "status"])
    groups = table.group_by(["judge", "status"]).aggregate([([], "count_all")]).to_pylist()
    counts = {group["judge"]: dict.fromkeys(map(str, Status), 0) for group in groups}
    for group in groups:
        counts[group["judge"]][group["status"]] = group["count_all"]
    return dict(sorted(counts.items()))


def training_course(rows: Sequence[Mapping[str, Any]], loss_function: str) -> Course:
    """Loss and margin by step, of the rows that TRL's trainer logs; nulls are left out."""
    return Course(
        loss_function,
        loss=_logged(rows, "loss"),
        margin=_logged(rows, "rewards/margins"),
        held_out_loss=_logged(rows, "eval_loss"),
        held_out_margin=_logged(rows, "eval_rewards/margins"),
    )


def describe_training(
    course: Course, rows: Sequence[Mapping[str, Any]], counts: Mapping[str, Any], reward: str
) -> TrainingSummary:
    """An arm's figures, of its course, the trainer's rows and the counts beside its pairs."""
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
    )


def _logged(rows: Iterable[Mapping[str, Any]], metric: str) -> list[tuple[int, float]]:
    return [(row["step"], row[metric]) for row in rows if row.get(metric) is not None]


def _value(points: Sequence[tuple[int, float]], place: int) -> float | None:
    return points[place][1] if points else None


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON ({error}). Delete the file and run again.") from None
    return parsed
