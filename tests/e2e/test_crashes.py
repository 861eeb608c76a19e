"""Jobs that are killed lose little, and what they leave makes the same tables."""

import json
import os
import random
import shutil
import signal
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from support.finished import finished_project
from support.started import StartedRun, killed_when
from support.workflow_runs import Project, rows_computed, tiny_config

pytestmark = pytest.mark.slow
FLUSH_ROWS = 64
PROMPTS = [f"Say something about the number {number}." for number in range(100)]


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path, minilm: Path) -> Project:
    """A project of 200 rows, run without a disturbance up to the pairs, and trained."""
    config = tiny_config(
        *(tiny_model, minilm, 24),
        dialogues={"actor": "tiny", "sampling": {"max_new_tokens": 40}},
        rewards={"wim": {"judge": "tiny", "zeta": 1.0}},
        arms={"wim": {"reward": "wim", "training": {"batch_size": 2, "precision": "float32"}}},
    )
    return finished_project("undisturbed", config, PROMPTS, "dpo_checkpoint")


def started_over(undisturbed: Project, folder: Path, *results: str) -> Project:
    """A copy in which some results are still to be made, and no row of them is stored."""
    project = undisturbed.again(folder)
    for result in results:
        shutil.rmtree(project.folder / "results" / result)
    shutil.rmtree(project.folder / "store")
    return project


def stored_rows(project: Project, stage: str) -> int:
    """Rows in the whole parts of a stage's store, each once.

    A signal between the moment in which a part appears and the one in which its rows are forgotten has
    them written again.
    """
    parts = (project.folder / "store" / stage).glob("part-*.parquet")
    return len(
        {key for part in parts for key in pq.read_table(part, columns=["key"])["key"].to_pylist()}
    )


def table(project: Project, name: str) -> pd.DataFrame:
    """The rows of a table, all files."""
    files = sorted((project.folder / "results" / name).rglob("*.parquet"))
    return pd.concat(map(pd.read_parquet, files), ignore_index=True)


@pytest.mark.parametrize(
    ("stage", "rule", "verb", "results"),
    [
        ("dialogues", "generate_dialogues", "generated", ["dialogues"]),
        ("ratings", "rate_candidates", "judged", ["ratings"]),
    ],
)
def test_kill_9_loses_at_most_a_flush_and_changes_no_row(
    undisturbed: Project, tmp_path: Path, stage: str, rule: str, verb: str, results: list[str]
) -> None:
    project = started_over(undisturbed, tmp_path / "project", *results)
    wanted = random.Random(stage).choice([FLUSH_ROWS, 2 * FLUSH_ROWS])
    arguments = ["--set-resources", f"{rule}:batch_size=8", "--", stage]
    killed_when(project, lambda: stored_rows(project, rule) >= wanted, arguments)
    stored = stored_rows(project, rule)
    assert stored >= wanted
    output = project.run("--", stage)
    computed = rows_computed(output)[verb]
    if stage == "dialogues":
        assert computed == 2 * len(PROMPTS) - stored
    assert computed > 0
    pd.testing.assert_frame_equal(table(project, stage), table(undisturbed, stage))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_job_flushes_first(
    undisturbed: Project, tmp_path: Path, number: signal.Signals
) -> None:
    project = started_over(undisturbed, tmp_path / "project", "dialogues")
    rule = "generate_dialogues"
    arguments = ["--set-resources", f"{rule}:batch_size=8", "--", "dialogues"]
    run = StartedRun(project, *arguments)
    assert run.wait_until(lambda: stored_rows(project, rule) >= FLUSH_ROWS), run.output
    (job,) = (found for found, name in run.jobs().items() if rule.startswith(name))
    os.kill(job, number)
    assert run.ended() == 1
    output = run.output
    assert "what is done is kept" in output
    stored = stored_rows(project, rule)
    assert rows_computed(project.run("--", "dialogues"))["generated"] == 200 - stored
    pd.testing.assert_frame_equal(table(project, "dialogues"), table(undisturbed, "dialogues"))


def losses(project: Project) -> list[float]:
    """The training loss of every step."""
    file = project.folder / "results/checkpoints/wim/round1/metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.parametrize(
    ("number", "gpus"), [(signal.SIGKILL, 1), (signal.SIGTERM, 1), (signal.SIGTERM, 2)]
)
def test_killed_training_goes_on_to_the_same_loss_curve(
    undisturbed: Project, tmp_path: Path, number: signal.Signals, gpus: int
) -> None:
    project = started_over(undisturbed, tmp_path / "project", "checkpoints")
    working = project.folder / "store/train_dpo"
    resources = ["--set-resources", f"train_dpo:gpu={gpus}"]
    arguments = [*resources, "train_dpo:save_seconds=0", "--", "dpo_checkpoint"]

    def trained_some() -> bool:
        return len(list(working.glob("*/checkpoint-*/complete"))) >= 2

    killed_when(project, trained_some, arguments, number)
    assert not (project.folder / "results/checkpoints/wim/round1/manifest.json").exists()
    output = project.run(*resources, "--", "dpo_checkpoint")
    log = (project.folder / "logs/train_dpo/wim/round1.log").read_text()
    assert "resuming from checkpoint-" in output
    assert f"batches of {gpus} x" in log
    # Without CUDA two processes compute on the processor. They fill up a last batch of one pair.
    whole = slice(None) if gpus == 1 else slice(-1)
    assert losses(project)[whole] == pytest.approx(losses(undisturbed)[whole], abs=1e-5)
    assert not [path for path in working.iterdir() if path.is_dir()]
