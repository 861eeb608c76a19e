"""A module that is moved and renamed, with the imports mended, reruns nothing."""

import re
from pathlib import Path

import pytest

from support.finished import finished_in_two_shards
from support.started import killed_when
from support.workflow_runs import Project

pytestmark = pytest.mark.slow
# What is moved, by dotted name: modules of judging, of engines and of training.
MOVES = {
    "wim.judging.parse": "wim.judging.reading",
    "wim.engines.local.sampling": "wim.engines.noise",
    "wim.training.run.setup": "wim.training.prepared",
}


def move(project: Project, old: str, new: str) -> None:
    """Move a module and mend every import of it, as `git mv` and an editor do."""
    library = project.folder / "workflow"
    place, former = (library / f"{name.replace('.', '/')}.py" for name in (new, old))
    former.rename(place)
    (package, name), (to_package, to_name) = (each.rsplit(".", 1) for each in (old, new))
    alone = re.compile(rf"^( *)from {re.escape(package)} import {name}$", re.MULTILINE)
    for file in library.rglob("*.py"):
        text = file.read_text()
        mended = alone.sub(rf"\1from {to_package} import {to_name} as {name}", text)
        mended = re.sub(rf"\b{re.escape(old)}\b", new, mended)
        if mended != text:
            file.write_text(mended)


@pytest.fixture
def project(tiny_model: Path, minilm: Path, tmp_path: Path) -> Project:
    """A copy of the finished project that a test may change."""
    return finished_in_two_shards(tiny_model, minilm).again(tmp_path / "project")


def test_a_dry_run_after_modules_were_moved_says_that_nothing_is_to_be_done(
    project: Project,
) -> None:
    for old, new in MOVES.items():
        move(project, old, new)
    assert "Nothing to be done" in project.run("-n")


def test_a_killed_training_goes_on_from_its_state_after_modules_were_moved(
    project: Project,
) -> None:
    checkpoint = project.folder / "results/checkpoints/wim/round1"
    for file in sorted(checkpoint.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    checkpoint.rmdir()
    # Long enough to be killed on the way, also where a step takes milliseconds.
    project.set("training.epochs", 100)
    working = project.folder / "store/train_dpo"

    def has_saved() -> bool:
        return bool(list(working.glob("*/checkpoint-*/complete")))

    arguments = ["--set-resources", "train_dpo:save_seconds=0", "--", "dpo_checkpoint"]
    killed_when(project, has_saved, arguments)
    assert not (checkpoint / "manifest.json").exists()
    for old, new in MOVES.items():
        move(project, old, new)
    assert project.planned("--", "dpo_checkpoint") == {"train_dpo": 1}
    assert "resuming from checkpoint-" in project.run("--", "dpo_checkpoint")
    assert (checkpoint / "manifest.json").exists()
