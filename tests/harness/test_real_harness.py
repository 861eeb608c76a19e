"""Benchmarks by the real lm-evaluation-harness, on tasks of our own and a tiny model.

`make test-harness` runs these; elsewhere they need WIM_HARNESS_PYTHON, or `make harness-environment`.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.workflow_runs import REPOSITORY, Project

PYTHON = Path(os.environ.get("WIM_HARNESS_PYTHON") or REPOSITORY / ".venv-harness/bin/python")
pytestmark = pytest.mark.skipif(
    not PYTHON.is_file(), reason=f"lm-eval is not at {PYTHON}: make harness-environment"
)
COLOURS = ["red", "green", "blue", "white"]
THINGS = ["snow", "grass", "the sky", "blood", "milk", "a leaf", "the sea", "a rose"]
RIGHT = [3, 1, 2, 0, 3, 1, 2, 0]
TASK = """\
task: colours
dataset_path: json
dataset_kwargs:
  data_files:
    test: questions.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "Question: which colour has {{thing}}?\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""


def write_questions(folder: Path, things: list[str]) -> None:
    rows = [
        {"thing": thing, "choices": COLOURS, "answer": right}
        for thing, right in zip(things, RIGHT, strict=False)
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """The environment of all tests of this file."""
    with pytest.MonkeyPatch.context() as changed:
        yield changed


@pytest.fixture(scope="module")
def project(
    environment: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Path,
    thinking_model: Path,
) -> Project:
    """Two models, measured in a task of a file."""
    environment.setenv("HF_HOME", str(tmp_path_factory.mktemp("cache")))
    environment.setenv("WIM_HARNESS_PYTHON", str(PYTHON))
    config: dict[str, object] = {
        "models": {
            "mine": {"source": f"path:{tiny_model}", "dtype": "float32"},
            "yours": {"source": f"path:{thinking_model}", "dtype": "float32"},
        },
        "dialogues": {"actor": "mine"},
        "judges": {"mine": {"model": "mine"}},
        "evaluations": {
            "bench": {"kind": "harness", "tasks": ["colours.yaml"], "speakers": ["yours"]}
        },
    }
    made = Project.copied(tmp_path_factory.mktemp("harness") / "project", config, ["A prompt."])
    (made.folder / "colours.yaml").write_text(TASK)
    write_questions(made.folder, THINGS)
    made.run("--", "evaluation")
    return made


def figures(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (project.folder / "results/evaluation/bench.json").read_text()
    )
    return found


def test_scores_and_paired_differences_of_real_models(project: Project) -> None:
    found = figures(project)
    task = found["tasks"]["colours"]
    assert (task["questions"], task["version"], task["main"]) == (8, "1.0", "acc_norm,none")
    scores = {}
    for speaker in ("base", "yours"):
        table = project.folder / f"results/evaluation/harness/bench/{speaker}.parquet"
        rows = pd.read_parquet(table)
        own = rows[rows["metric"] == "acc_norm,none"].set_index("question")["score"]
        scores[speaker] = own
        reported = task["speakers"][speaker]["scores"]["acc_norm,none"]
        assert own.mean() == pytest.approx(reported["value"])
        assert reported["standard_error"] == pytest.approx(own.sem(), rel=1e-4)
    difference = task["speakers"]["yours"]["difference"]
    leads = scores["yours"] - scores["base"]
    assert difference["difference"]["value"] == pytest.approx(leads.mean(), abs=1e-6)
    assert difference["higher"] == (leads > 0).sum()


def test_nothing_of_the_machine_or_the_day_is_in_the_results(project: Project) -> None:
    folder = project.folder / "results/evaluation"
    written = [folder / "bench.json", folder / "bench.md", *folder.glob("harness/**/*.json")]
    assert len(written) == 5
    for path in written:
        assert str(project.folder) not in path.read_text(), path
    assert not list(folder.rglob("*.answers"))


def test_another_python_reruns_nothing_and_other_questions_measure_again(project: Project) -> None:
    project.set("evaluations.bench.python", "elsewhere/python")
    assert project.planned("--", "evaluation") == {}
    write_questions(project.folder, THINGS[:6])
    planned = project.planned("--", "evaluation")
    assert planned["stage_harness"] == 1 and planned["run_harness"] == 2
    write_questions(project.folder, THINGS)


def test_an_unknown_task_is_told_before_any_model_is_opened(project: Project) -> None:
    project.set("evaluations.typo", {"kind": "harness", "tasks": ["arc_eazy"]})
    said = project.run("--", "results/evaluation/typo.json", status=1)
    assert "lm-eval knows no task 'arc_eazy'; did you mean arc_easy" in said
    assert not (project.folder / "logs/run_harness/typo").exists()


def test_without_the_environment_one_message_names_the_command(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIM_HARNESS_PYTHON", "/nowhere/python")
    project.set("evaluations.more", {"kind": "harness", "tasks": ["colours.yaml"]})
    said = project.run("--", "results/evaluation/more.json", status=1)
    assert "make harness-environment" in said
    assert "Traceback" not in said
