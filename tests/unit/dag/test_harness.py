"""Benchmarks in the DAG: task files with all that they read, and where lm-eval's Python is."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from wim.dag.evaluation_specs import EvaluationSpecs
from wim.dag.harness import Harness, read_by_task
from wim.dag.inputs import Inputs, Wildcards
from wim.errors import UserError
from wim.settings.config import Config
from wim.settings.evaluations import EvaluationSettings
from wim.settings.harness import PYTHON, check_environment

TASK = """\
task: mine
dataset_path: json
dataset_kwargs:
  data_files:
    test: questions.jsonl
include: common.yaml
process_docs: !function helpers.shuffled
process_results: !function lm_eval.api.metrics.mean
"""


def config(**evaluation: object) -> Config:
    settings = EvaluationSettings.model_validate({"kind": "harness", **evaluation})
    return Config(evaluations={"bench": settings})


def harness(folder: Path, **evaluation: object) -> Harness:
    return Harness(Inputs(config(**evaluation), folder))


def wildcards(**names: str) -> Wildcards:
    return cast(Wildcards, SimpleNamespace(**names))


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task file in a folder of its own, with its data in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks").mkdir()
    for name, text in (("mine.yaml", TASK), ("common.yaml", "num_fewshot: 0"), ("helpers.py", "")):
        (tmp_path / "tasks" / name).write_text(text)
    (tmp_path / "questions.jsonl").write_text("{}\n")
    return Path("tasks/mine.yaml")


def test_a_task_file_comes_with_its_includes_functions_and_data(task: Path) -> None:
    assert list(read_by_task(task)) == [
        "tasks/mine.yaml",
        "tasks/common.yaml",
        "tasks/helpers.py",
        "questions.jsonl",
    ]
    bench = harness(Path("/nowhere"), tasks=["arc_easy", str(task)])
    assert "questions.jsonl" in bench.task_files(wildcards(evaluation="bench"))
    assert bench.tasks("bench") == ["arc_easy", "tasks/mine.yaml"]


@pytest.mark.parametrize(
    ("missing", "said"),
    [("questions.jsonl", "data_files: found 'questions.jsonl'"), ("tasks/common.yaml", "include")],
)
def test_a_file_that_a_task_lacks_is_named(task: Path, missing: str, said: str) -> None:
    Path(missing).unlink()
    with pytest.raises(UserError, match=said):
        list(read_by_task(task))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "not a task file"),
        ("{a: ", "not a task file"),
        ("task: [a, b]", "found a group"),
    ],
)
def test_what_is_no_task_is_refused_by_name(task: Path, text: str, said: str) -> None:
    task.write_text(text)
    with pytest.raises(UserError, match=f"tasks/mine.yaml: .*{said}"):
        list(read_by_task(task))


def test_the_environments_python_is_the_variables_then_the_configurations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(PYTHON, raising=False)
    own = tmp_path / "workflow/.venv-harness/bin/python"
    own.parent.mkdir(parents=True)
    # As in environments, where it is a link: followed, it would be another Python.
    own.symlink_to("/usr/bin/env")
    bench = harness(tmp_path / "workflow", tasks=["a"])
    assert bench.python("bench") == str(own)
    monkeypatch.setenv(PYTHON, "/elsewhere/python")
    assert bench.python("bench") == "/elsewhere/python"
    with pytest.raises(UserError, match="make harness-environment"):
        check_environment(bench.python("bench"), "evaluations.bench.python")


def test_only_what_decides_a_score_is_in_the_spec() -> None:
    def spec(**evaluation: object) -> str:
        found = EvaluationSpecs(Inputs(config(tasks=["a"], **evaluation), Path()))
        return found.harness(wildcards(evaluation="bench", speaker="base"))

    same = spec(python="/other/python", speakers=["wim"])
    assert same == spec()
    assert len({spec(), spec(limit=3), spec(num_fewshot=0), spec(chat_template=True)}) == 4
