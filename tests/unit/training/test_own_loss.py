"""Training with a loss that is a text."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from support.builders import pair, user, write_pairs
from support.preference_training import ROWS, Loaded, history, loaded, settings_of
from support.workflow_runs import REPOSITORY
from wim.errors import UserError
from wim.own_loss.formula import LOG_PROBABILITIES
from wim.settings.losses import LOSSES
from wim.settings.own_loss import PairTrainingSettings
from wim.training.losses import OWN
from wim.training.own_loss import loss_from_text, train_own_loss
from wim.training.run.setup import Run

__all__ = ["loaded"]
SIGNATURE = ", ".join((*LOG_PROBABILITIES, "beta"))


def text_of(name: str) -> str:
    return (REPOSITORY / f"config/losses/{name}.py").read_text()


def own(text: str, **more: Any) -> PairTrainingSettings:
    return PairTrainingSettings(loss={"text": text}, **{"learning_rate": 3e-3, **more})


@pytest.mark.parametrize("name", ["lrml", "kto_pair"])
def test_a_written_loss_trains_as_the_built_in_one(
    loaded: Loaded, tmp_path: Path, name: str
) -> None:
    wanted = history(loaded, tmp_path / "built in", settings_of(name))
    settings = own(text_of(name))
    with loss_from_text(settings):
        found = history(loaded, tmp_path / "own", settings)
    assert len(found) == len(wanted) == 3
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6)
    assert settings.loss_label not in {*LOSSES, *OWN}


def trained(folder: Path, model: Path, settings: PairTrainingSettings) -> Path:
    from wim.models.manifest import write_manifest

    base = folder / "base"
    if not base.exists():
        shutil.copytree(model, base)
        write_manifest(base, "tiny")
    rows = [pair(**{**row, "prompt": user(row["prompt"])}) for row in ROWS]
    run = Run(
        manifest=base / "manifest.json",
        seed=0,
        per_device=4,
        store=folder / "store/train_own_loss",
        save_seconds=300,
        folder=folder / "checkpoint",
    )
    names = {"arm": "mine", "round": 1, "reward": "r"}
    train_own_loss(write_pairs(folder / "pairs.parquet", rows), settings, names, {}, run)
    return folder / "checkpoint"


def test_a_checkpoint_is_known_by_the_text_of_its_loss(tmp_path: Path, tiny_model: Path) -> None:
    settings = own(text_of("cell"), batch_size=4, precision="float32")
    folder = trained(tmp_path, tiny_model, settings)
    told = json.loads((folder / "provenance.json").read_text())
    assert told["settings"]["training"]["loss"] == {"text": text_of("cell")}
    assert "exponential" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("policy_chosen_logps.mean() * beta", "found the shape () for"),
        ("(policy_chosen_logps - policy_chosen_logps) / 0.0 * policy_chosen_logps", "loss is nan"),
    ],
)
def test_a_loss_that_cannot_be_trained_ends_with_the_reason(
    tmp_path: Path, tiny_model: Path, returned: str, told: str
) -> None:
    settings = own(f"def bad({SIGNATURE}):\n    return {returned}", precision="float32")
    with pytest.raises(UserError) as failed:
        trained(tmp_path, tiny_model, settings)
    assert told in str(failed.value)
    assert not (tmp_path / "checkpoint").exists()
