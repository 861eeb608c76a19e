"""Training whose weights are shared out over processes ends as that of one process."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from support.builders import pair, user, write_pairs
from support.workflow_runs import REPOSITORY
from wim.errors import UserError
from wim.models.manifest import write_manifest
from wim.settings.load import load_config
from wim.settings.training import TrainingSettings
from wim.training.dpo.train import train_dpo
from wim.training.run.launch import write_checkpoint_on
from wim.training.run.setup import Run

ROWS = 8


@pytest.fixture(scope="module")
def staged_tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A copy of the tiny model with its manifest."""
    folder = tmp_path_factory.mktemp("staged") / "tiny"
    shutil.copytree(tiny_model, folder)
    write_manifest(folder, "tiny")
    return folder


WITHOUT_CUDA = pytest.mark.skipif(
    os.environ.get("CUDA_VISIBLE_DEVICES", "") != "", reason="the patch is for processors"
)


def pairs_table(path: Path) -> Path:
    """A few pairs."""
    rows = [
        pair(
            prompt_id=f"p{number}",
            prompt=user(f"Say {number}."),
            chosen=f"It is {number * 7}, and so on.",
            rejected=f"No, {number}.",
        )
        for number in range(ROWS)
    ]
    return write_pairs(path, rows)


def trained(
    folder: Path, model: Path, settings: TrainingSettings, gpus: int, parallel: str = "ddp"
) -> tuple[list[float], dict[str, Any]]:
    """The losses and the weights of a training on so many processes."""
    manifest = model / "manifest.json"
    run = Run(
        manifest=manifest,
        seed=0,
        per_device=2,
        store=folder / "store",
        save_seconds=0,
        folder=folder / "checkpoint",
        parallel=parallel,  # type: ignore[arg-type]
    )
    write_checkpoint_on(
        train_dpo,
        gpus=gpus,
        log=folder / "training.log",
        pairs=pairs_table(folder / "pairs.parquet"),
        settings=settings,
        names={"arm": "a", "round": 1, "reward": "r"},
        upstream_settings={},
        run=run,
    )
    lines = (folder / "checkpoint/metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    losses = [row["loss"] for row in rows if "loss" in row]
    return losses, load_file(folder / "checkpoint/model.safetensors")


@pytest.mark.slow
@WITHOUT_CUDA
@pytest.mark.parametrize("lora", [{"rank": 4}, None], ids=["adapters", "all weights"])
def test_a_sharded_training_ends_as_that_of_one_process(
    tmp_path: Path, staged_tiny_model: Path, monkeypatch: pytest.MonkeyPatch, lora: Any
) -> None:
    settings = TrainingSettings(
        batch_size=4, learning_rate=1e-3, precision="float32", lora=lora, warmup=0.0
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    losses, weights = trained(tmp_path / "one", staged_tiny_model, settings, 1)
    patched = (
        f"{REPOSITORY / 'tests/support/sharded'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    )
    monkeypatch.setenv("PYTHONPATH", patched)
    found, shared = trained(tmp_path / "two", staged_tiny_model, settings, 2, "fsdp")
    assert found == pytest.approx(losses, abs=1e-4)
    assert shared.keys() == weights.keys()
    for name, weight in weights.items():
        assert shared[name].numpy() == pytest.approx(weight.numpy(), abs=2e-4), name


@pytest.mark.parametrize("section", ["arms", "sft"])
def test_packed_weights_are_not_shared_out(section: str) -> None:
    packed = {"tiny": {"source": "path:tiny", "quantization": "nf4"}}
    sections = {
        "arms": {"a": {"reward": "wim"}} if section == "arms" else {},
        "sft": {"s": {"model": "tiny"}} if section == "sft" else {},
        "rewards": {"wim": {"judge": "tiny", "kind": "length"}},
        "judges": {"tiny": {"model": "tiny"}},
        "models": packed,
        "dialogues": {"actor": "tiny"},
    }
    load_config(sections)
    with pytest.raises(UserError, match=rf"parallel: found fsdp, and {section}\.. .*nf4.*write"):
        load_config({"parallel": "fsdp", **sections})
    lora = {"lora": None}
    whole = {name: {**of, "training": lora} for name, of in sections["arms"].items()}
    if section == "arms":
        load_config({"parallel": "fsdp", **sections, "arms": whole})


def test_online_training_is_not_shared_out() -> None:
    arms = {"a": {"reward": "wim", "method": "online_dpo"}}
    with pytest.raises(UserError, match="write parallel: ddp"):
        load_config({"parallel": "fsdp", "arms": arms})
