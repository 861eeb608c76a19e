"""An evaluation by the harness: each model in each task, and against the reference."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from wim.display.json_files import read_json, rounded, write_json
from wim.evaluation.compared.paired import Difference, difference
from wim.evaluation.compared.verdicts import verdicts
from wim.evaluation.harness.figure import draw_harness
from wim.evaluation.harness.text import harness_text
from wim.provenance.digest import seed_of
from wim.tables.files import read_table
from wim.tables.schemas import HARNESS_SCORES

logger = logging.getLogger(__name__)
# How close the mean of the questions' scores is to a task's own score where the one is the other.
CLOSE = 1e-6
# By task, and metric with its filter: the score of each question.
Scores = Mapping[tuple[str, str], Mapping[str, float]]


class EvaluationFiles(Protocol):
    """Where the figures go: JSON, Markdown and an SVG figure."""

    table: str
    text: str
    figure: str


def evaluate_harness(
    tasks: Path,
    results: Sequence[Path],
    scores: Sequence[Path],
    name: str,
    settings: Mapping[str, Any],
    speakers: Sequence[str],
    seed: int,
    output: EvaluationFiles,
) -> None:
    """Write the figures of an evaluation by the harness; the same inputs give the same bytes.

    Args:
        tasks: What the evaluation's tasks are.
        results: How each speaker did, in the speakers' order.
        scores: The speakers' scores question by question.
        name: The evaluation's.
        settings: The examples before each question, and the limit of questions.
        speakers: Who was measured, the reference first.
        seed: The run's.
        output: Where the figures go.
    """
    listing = read_json(tasks)
    found = dict(zip(speakers, (read_json(path) for path in results), strict=True))
    asked = [task for names in listing["requested"].values() for task in names]
    compared = task_figures(
        {speaker: each["tasks"] for speaker, each in found.items()},
        dict(zip(speakers, map(_scores, scores), strict=True)),
        dict.fromkeys(asked),
        seed_of(seed, "harness", name) % 2**32,
    )
    figures = rounded(
        {
            "evaluation": name,
            "kind": "harness",
            "reference": speakers[0],
            "versions": found[speakers[0]]["versions"],
            "settings": settings,
            "models": {
                speaker: {key: each[key] for key in ("model", "dtype")}
                for speaker, each in found.items()
            },
            "tasks": compared,
        }
    )
    write_json(output.table, figures)
    text = harness_text(figures)
    Path(output.text).write_text(text, encoding="utf-8")
    draw_harness(figures, Path(output.figure))
    for line in text.splitlines():
        logger.info("%s", line)


def task_figures(
    results: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Scores],
    asked: Mapping[str, None],
    seed: int,
) -> dict[str, Any]:
    """The figures of each task and speaker.

    Args:
        results: By speaker and task, the reference first, as `run_harness` writes them.
        scores: By speaker.
        asked: The tasks and groups that were asked for: these have verdicts, adjusted for their
            number and that of the speakers together; tasks within a group have none.
        seed: Of the bootstrap.
    """
    reference, *others = results
    differences = {
        (task, speaker): found
        for task in results[reference]
        for speaker in others
        if (found := _difference(task, results, scores, (speaker, reference), seed))
    }
    of_asked = {
        f"{speaker} in {task}": each
        for (task, speaker), each in differences.items()
        if task in asked
    }
    binary = all(
        score in (0.0, 1.0)
        for of in scores.values()
        for (_, metric), rows in of.items()
        if metric in _mains(results[reference])
        for score in rows.values()
    )
    said = verdicts(
        of_asked,
        reference,
        "mcnemar" if binary else "bootstrap",
        prompts="questions",
        family="comparisons",
    )
    return {
        task: {
            **{key: value for key, value in one.items() if key != "scores"},
            "asked": task in asked,
            "speakers": {
                speaker: {
                    "scores": of[task]["scores"],
                    **_compared(differences.get((task, speaker))),
                    **_verdict(said.get(f"{speaker} in {task}")),
                }
                for speaker, of in results.items()
            },
        }
        for task, one in results[reference].items()
    }


def _mains(tasks: Mapping[str, Any]) -> set[str]:
    return {task["main"] for task in tasks.values() if task["main"]}


def _compared(found: Difference | None) -> dict[str, Any]:
    return {} if found is None else {"difference": asdict(found)}


def _verdict(found: Any) -> dict[str, Any]:
    return {} if found is None else {"verdict": asdict(found)}


def _difference(
    task: str,
    results: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Scores],
    pair: tuple[str, str],
    seed: int,
) -> Difference | None:
    """The paired difference of two speakers in a task; None where questions have no scores.

    That is where a task is scored as a whole, where less is better, and where a group's score is no
    mean over its questions.
    """
    by_question = []
    for speaker in pair:
        one = results[speaker][task]
        if one["main"] is None or one["scores"][one["main"]]["higher_is_better"] is False:
            return None
        rows = dict(_questions(one["subtasks"] or [task], one["main"], scores[speaker]))
        if not rows:
            return None
        mean = sum(rows.values()) / len(rows)
        if abs(mean - one["scores"][one["main"]]["value"]) > CLOSE:
            return None
        by_question.append(rows)
    own, reference = by_question
    return difference(own, reference, seed)


def _questions(tasks: Sequence[str], metric: str, scores: Scores) -> Iterator[tuple[str, float]]:
    for task in tasks:
        for question, score in scores.get((task, metric), {}).items():
            yield f"{task} {question}", score


def _scores(path: Path) -> Scores:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in read_table(path, HARNESS_SCORES).to_pylist():
        of = found.setdefault((row["task"], row["metric"]), {})
        of[str(row["question"])] = row["score"]
    return found
