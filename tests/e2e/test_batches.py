"""A model that is asked by the batch API, in the workflow, with jobs that are killed at the worst time."""

import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from support.api_server import Fields, Reply, last_message, said
from support.batch_server import BatchServer
from support.started import killed_when
from support.workflow_runs import Project, rows_computed

PROMPTS = [f"Tell me of river {number}." for number in range(100)]
ROWS = 2 * len(PROMPTS)
TARGET = ("--cores", "1", "--", "dialogues")


def answer(fields: Fields, before: int) -> Reply:
    return said(f"Answer {fields['seed']} to: {last_message(fields)}")


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer(answer) as server:
        yield server


def settings(server: BatchServer, minilm: Path) -> dict[str, object]:
    far = {"url": server.url, "batch": True, "attempts": 2}
    return {
        "models": {
            "far": {"source": "endpoint:far-1@2026-01", "api": far},
            "encoder": {"source": f"path:{minilm}"},
        },
        "prices": {"far": {"input": 1000, "output": 4000}},
        "prompts": {"files": ["prompts.jsonl"], "shards": 1, "eval_fraction": 0.0},
        "dialogues": {"actor": "far", "candidates": 2, "sampling": {"max_new_tokens": 16}},
        "judges": {"far": {"model": "far"}},
        "embeddings": {"encoder": "encoder"},
        "rewards": {"mixed": {"judge": "far", "zeta": 0.5}},
        "arms": {},
    }


def wim(project: Project, *arguments: str) -> str:
    result = project.call([sys.executable, "-m", "wim.cli", *arguments])
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_batch_of_200_rows_whose_job_is_killed_twice_is_asked_once(
    server: BatchServer, tmp_path: Path, minilm: Path
) -> None:
    project = Project.copied(tmp_path / "project", settings(server, minilm), PROMPTS)
    # The batch is there, and the job is killed before it hears of it.
    server.created = lambda batch: Reply(silent=True)
    killed_when(project, lambda: bool(server.batches), TARGET, signal.SIGKILL)
    # It finds the batch, and is killed while it waits.
    server.ready.clear()
    killed_when(project, lambda: server.looks > 1, TARGET, signal.SIGKILL)
    server.ready.set()
    output = project.run(*TARGET)
    assert rows_computed(output)["generated"] == ROWS
    assert "batch batch_0 was submitted before" not in output
    assert len(server.batches) == 1 and server.asked == []
    asked = Counter((last_message(fields), fields["seed"]) for fields in server.answered)
    assert len(asked) == ROWS and set(asked.values()) == {1}
    table = pd.read_parquet(project.folder / "results/dialogues/base/000.parquet")
    assert table["completion"].nunique() == ROWS
    assert list((project.folder / "store/generate_dialogues/.batches").iterdir()) == []
    # 11 tokens of each prompt and 5 of each answer, at half their price.
    money = ROWS * (11 * 1000 + 5 * 4000) / 1e6 / 2
    assert f"| {ROWS} | {ROWS} | 2,200 | 0 | 1,000 | {ROWS} | {money:.4f} |" in wim(
        project, "costs"
    )
    # How it is asked is no part of what is known.
    project.set("models.far.api.batch", False)
    assert project.planned("--", "dialogues") == {}
