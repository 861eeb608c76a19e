"""What lm-eval writes, read: scores with standard errors, and the scores of each question."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.errors import UserError
from wim.tables.schemas import HarnessScore

ERROR = "_stderr"
# The metrics that a task is summed up by, the first that it has: others by their place in the file.
MAIN = ("acc_norm", "exact_match", "prompt_level_strict_acc", "acc")


@dataclass(frozen=True)
class Score:
    """A task's score by one metric and filter.

    Attributes:
        value: As lm-eval reports it.
        standard_error: Of that; null where lm-eval gives none.
        higher_is_better: null where lm-eval does not say.
    """

    value: float
    standard_error: float | None
    higher_is_better: bool | None


@dataclass(frozen=True)
class TaskResult:
    """How a model did in a task, or in a group of tasks.

    Attributes:
        version: The task's, by its makers.
        questions: How many were asked; of a group, of all its tasks.
        all_questions: How many there are.
        examples: Solved ones before each question; null for a group.
        subtasks: The tasks of a group.
        main: The score that sums the task up; null where there is none.
        scores: By metric and filter, as `acc,none`.
    """

    version: str | None
    questions: int | None
    all_questions: int | None
    examples: int | None
    subtasks: tuple[str, ...]
    main: str | None
    scores: dict[str, Score]


@dataclass(frozen=True)
class HarnessResults:
    """A run of lm-eval; times, places and machines are left out.

    Attributes:
        versions: Of the libraries.
        tasks: The results of tasks and groups by name.
    """

    versions: dict[str, str]
    tasks: dict[str, TaskResult]


def results_files(folder: Path) -> tuple[Path, list[Path]]:
    """The file of results below a folder that lm-eval wrote, and those of samples.

    Raises UserError where there is not one of results: lm-eval ends well though it could not write.
    """
    found = sorted(folder.rglob("results_*.json"))
    if len(found) != 1:
        raise UserError(
            f"lm-eval wrote {len(found)} files of results; expected one. Its log says why, after "
            "'Could not save'."
        )
    return found[0], sorted(folder.rglob("samples_*.jsonl"))


def read_results(path: Path) -> HarnessResults:
    """Read a file of results. Raises UserError where it is of another form."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        return HarnessResults(
            versions={
                library: str(whole[key])
                for library, key in (
                    ("lm_eval", "lm_eval_version"),
                    ("transformers", "transformers_version"),
                )
                if whole.get(key)
            },
            tasks={
                name: _task(name, scores, whole)
                for name, scores in sorted({**whole["results"], **whole.get("groups", {})}.items())
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not a file of results as lm-eval 0.4 writes it ({error!r}); expected results, "
            "versions and n-samples. Install the pinned version: `make harness-environment`."
        ) from None


def _task(name: str, scores: Mapping[str, Any], whole: Mapping[str, Any]) -> TaskResult:
    subtasks = tuple(_leaves(name, whole.get("group_subtasks", {})))
    counts = [
        whole["n-samples"][task] for task in subtasks or (name,) if task in whole["n-samples"]
    ]
    better = whole.get("higher_is_better", {}).get(name) or {}
    version, found = whole["versions"].get(name), dict(_scores(scores, better))
    return TaskResult(
        version=None if version is None else str(version),
        questions=sum(each["effective"] for each in counts) if counts else None,
        all_questions=sum(each["original"] for each in counts) if counts else None,
        examples=whole.get("n-shot", {}).get(name) if not subtasks else None,
        subtasks=subtasks,
        main=min(found, key=_rank, default=None),
        scores=found,
    )


def _rank(key: str) -> int:
    """The place of a metric and filter among those that sum a task up; the first of equals is taken."""
    metric = key.partition(",")[0]
    return MAIN.index(metric) if metric in MAIN else len(MAIN)


def _leaves(name: str, groups: Mapping[str, list[str]]) -> Iterator[str]:
    """The single tasks of a group, at any depth; none of a single task."""
    for child in groups.get(name, []):
        yield from _leaves(child, groups) if groups.get(child) else (child,)


def _scores(
    scores: Mapping[str, Any], better: Mapping[str, bool | None]
) -> Iterator[tuple[str, Score]]:
    for key, value in scores.items():
        metric, comma, chosen = key.partition(",")
        number = _number(value)
        if comma and number is not None and not metric.endswith(ERROR):
            error = _number(scores.get(f"{metric}{ERROR},{chosen}"))
            yield key, Score(number, error, better.get(metric))


def read_samples(path: Path) -> Iterator[HarnessScore]:
    """The scores of each question of a task, by metric and filter.

    What scores a task as a whole (perplexity, BLEU) gives no number for a question, and is left out.
    """
    # samples_<task>_<time>.jsonl; times have no underscore.
    task = path.name.removeprefix("samples_").rpartition("_")[0]
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            sample = json.loads(line)
            for metric in sample["metrics"]:
                value = _number(sample.get(metric))
                if value is not None:
                    yield HarnessScore(
                        task=task,
                        metric=f"{metric},{sample['filter']}",
                        question=int(sample["doc_id"]),
                        score=value,
                    )


def _number(value: object) -> float | None:
    """A value as a number that JSON has; None for any other, such as NaN or what stands for none."""
    number = float(value) if isinstance(value, int | float) else math.nan
    return number if math.isfinite(number) else None
