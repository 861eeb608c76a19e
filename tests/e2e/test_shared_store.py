"""Two runs at the same time with one store: equal trainings are done once."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from support.finished import finished_project
from support.started import StartedRun
from support.workflow_runs import tiny_config

pytestmark = pytest.mark.slow
PROMPTS = ["Name a river.", "How is bread made?", "Why does it rain?", "Who wrote the answer?"]
ARMS = ("one", "two", "three")
ARGUMENTS = ("--cores", "3", "--set-threads", "train_dpo=1")


def test_three_equal_arms_of_two_runs_that_share_a_store_are_trained_once(
    tiny_model: Path, minilm: Path, tmp_path: Path
) -> None:
    training = {"batch_size": 1, "precision": "float32"}
    config = tiny_config(
        *(tiny_model, minilm, 12),
        rewards={"length": {"kind": "length"}},
        arms={arm: {"reward": "length", "training": training} for arm in ARMS},
    )
    alone = finished_project("equal-arms", config, PROMPTS, "dpo_checkpoint", flush_rows=4)
    projects = [alone.again(tmp_path / name) for name in ("here", "there")]
    for project in projects:
        shutil.rmtree(project.folder / "results/checkpoints")
        shutil.rmtree(project.folder / "store")
        (project.folder / "kept.log").unlink()
        project.set("store", str(tmp_path / "store"))
        # The training that begins stops after its first step, until all others have begun.
        (project.folder / "hold").touch()
    arguments = (*ARGUMENTS, "--set-resources", "train_dpo:save_seconds=0", "--", "dpo_checkpoint")
    runs = [StartedRun(project, *arguments) for project in projects]

    def waiting() -> int:
        return sum(run.output.count("is at the same training") for run in runs)

    runs[0].wait_until(lambda: waiting() == 2 * len(ARMS) - 1, seconds=180)
    waited = waiting()
    for project in projects:
        (project.folder / "hold").unlink()
    assert [run.ended() for run in runs] == [0, 0], runs[0].output + runs[1].output
    assert waited == 2 * len(ARMS) - 1
    for project in projects:
        assert project.results() == alone.results()
    states: Counter[tuple[str, str]] = sum((each.kept() for each in projects), Counter())
    assert states
    assert set(states.values()) == {1}, "each step is made once"
    assert not [path for path in (tmp_path / "store/train_dpo").iterdir() if path.is_dir()]
