"""The summary: what the judges and rewards did, and how training went."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from wim.display.json_files import read_json, rounded, write_json
from wim.evaluation.audit import read_audit
from wim.evaluation.audit_figure import draw_critiques
from wim.reports.candidates import candidate_numbers
from wim.reports.controls import agreement_with_controls
from wim.reports.failed import failed_figures, failed_text
from wim.reports.figures import Course, draw_rewards, draw_training
from wim.reports.flow import draw_flow, flow_text
from wim.reports.leaks import count_leaks, leaks_text
from wim.reports.measured import measured_text
from wim.reports.summary_figures import (
    TrainingSummary,
    count_statuses,
    describe_reward,
    describe_training,
    training_course,
)
from wim.reports.summary_text import PUBLISHED, summary_text
from wim.reports.texts import count_scripts, reading_text, scripts_table
from wim.reports.trained import trained_figures, trained_text
from wim.reports.verdicts import read_verdicts, verdict_text
from wim.settings.critique_rewards import NamedReward
from wim.tables.metrics import read_metrics

logger = logging.getLogger(__name__)
# Beside the summary, from the rule of this name.
COSTS = "costs.md"


class SummaryInputs(Protocol):
    """What the summary reads.

    Attributes:
        dialogues, ratings: The shards of the first round.
        comparisons: The shards of those that label an arm's pairs.
        rewards: <reward>.parquet of each reward.
        exclusions, metrics: <arm>/round<r>.exclusions.json and <arm>/round<r>/metrics.jsonl of
            each arm's rounds, in one order.
        audits: <judge>.json of each judge that writes critiques.
        fine_tunings: <name>/metrics.jsonl of each fine-tuned model.
        reward_models: <name>/evaluation.json of each trained reward model.
        verdict: What the evaluations have shown; none where there is no evaluation.
        split_leaks: Held-out prompts that stand in those trained on; none where none is held out.
    """

    dialogues: Sequence[str]
    ratings: Sequence[str]
    comparisons: Sequence[str]
    rewards: Sequence[str]
    exclusions: Sequence[str]
    metrics: Sequence[str]
    audits: Sequence[str]
    fine_tunings: Sequence[str]
    reward_models: Sequence[str]
    verdict: Sequence[str]
    split_leaks: Sequence[str]


class SummaryFiles(Protocol):
    """Where the summary goes: JSON, Markdown, and four SVG figures."""

    table: str
    text: str
    rewards: str
    critiques: str
    training: str
    flow: str


def summary(
    inputs: SummaryInputs,
    rewards: Mapping[str, Mapping[str, Any]],
    arms: Mapping[str, Mapping[str, str]],
    trained: Mapping[str, Mapping[str, Mapping[str, Any]]],
    output: SummaryFiles,
    measured: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
) -> None:
    """Write summary.json, summary.md and the figures; the same inputs give the same bytes.

    Args:
        inputs: The tables and logs to summarise.
        rewards: The settings of each reward.
        arms: `reward` and `loss` of each arm, or of each of its rounds as <arm>-round<r>.
        trained: Settings of other trained models to report, under `sft` and `reward_models`.
        output: The files to write.
        measured: What the gate and the study have found of each reward; see `measured_text`.
    """
    candidates = candidate_numbers(inputs.dialogues)
    tables = list(map(Path, inputs.rewards))
    kinds = {name: str(settings.get("kind", "mixture")) for name, settings in rewards.items()}
    controls = agreement_with_controls(tables, kinds, candidates)
    audits = {path.stem: read_audit(path) for path in map(Path, inputs.audits)}
    described, distributions = {}, {}
    for path in tables:
        settings = NamedReward.model_validate(rewards[path.stem])
        described[path.stem], distributions[path.stem] = describe_reward(path, candidates, settings)
    courses, training = _describe_trainings(inputs.exclusions, inputs.metrics, arms)
    statuses = count_statuses(inputs.ratings)
    scripts = count_scripts(inputs.ratings)
    failed = failed_figures(inputs.dialogues, inputs.ratings, inputs.comparisons)
    others = trained_figures(
        trained,
        metrics=list(map(Path, inputs.fine_tunings)),
        evaluations=list(map(Path, inputs.reward_models)),
    )
    verdicts = read_verdicts(next(map(Path, inputs.verdict), None))
    leaks = {path: count_leaks(Path(path)) for path in inputs.split_leaks}
    draw_rewards(distributions, Path(output.rewards))
    draw_critiques(audits, Path(output.critiques))
    draw_training(courses, Path(output.training))
    draw_flow(training, Path(output.flow))
    text = summary_text(
        rewards=described,
        controls=controls,
        statuses=statuses,
        warnings=failed_text(failed) + leaks_text(leaks) + reading_text(audits),
        scripts=scripts_table(scripts),
        audits=audits,
        training=training,
        rewards_figure=Path(output.rewards).name,
        critiques_figure=Path(output.critiques).name,
        training_figure=Path(output.training).name,
    )
    figures = {
        "published": PUBLISHED,
        "statuses": statuses,
        "scripts": scripts,
        **({"failed": failed} if failed else {}),
        **({"measured": measured} if measured else {}),
        **({"verdicts": verdicts} if verdicts else {}),
        **({"leaks": found} if (found := sum(leaks.values(), Counter())) else {}),
        **others,
        "rewards": {name: asdict(one) for name, one in described.items()},
        "controls": {
            name: {control: asdict(share) for control, share in shares.items()}
            for name, shares in controls.items()
        },
        "critiques": {judge: asdict(audit) for judge, audit in audits.items()},
        "training": {name: asdict(one) for name, one in training.items()},
    }
    write_json(output.table, rounded(figures))
    Path(output.text).parent.mkdir(parents=True, exist_ok=True)
    Path(output.text).write_text(
        text
        + flow_text(training, Path(output.flow).name, COSTS)
        + measured_text(list(described), measured or {})
        + trained_text(others)
        + verdict_text(verdicts),
        encoding="utf-8",
    )
    logger.info("summary: %d rewards, %d arms: %s", len(described), len(training), output.text)


def _describe_trainings(
    exclusions: Sequence[str], metrics: Sequence[str], arms: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, Course], dict[str, TrainingSummary]]:
    """The course and the figures of each arm's training, or of each of its rounds'."""
    courses, training = {}, {}
    for counts, log in zip(map(Path, exclusions), map(Path, metrics), strict=True):
        arm = counts.parent.name
        if arm not in arms:
            arm = f"{arm}-{counts.name.partition('.')[0]}"
        rows = read_metrics(log)
        courses[arm] = training_course(rows, arms[arm]["loss"])
        training[arm] = describe_training(
            courses[arm], rows, counts=_read_counts(counts), reward=arms[arm]["reward"]
        )
    return courses, training


def _read_counts(path: Path) -> dict[str, Any]:
    counts: dict[str, Any] = read_json(path)
    return counts
