"""Training adapters on packed weights (QLoRA): what is merged are the weights as they are."""

import json
import math
from pathlib import Path

import pytest
import torch

from support.builders import pair, user, write_pairs
from wim.engines.local.loading import open_model
from wim.models.stage import stage_model
from wim.settings.models import ModelSource
from wim.settings.training import TrainingSettings
from wim.training.dpo.train import DpoTraining, train_dpo
from wim.training.run.setup import Run

WORDS = ["river", "hill", "train", "bread", "cost", "noon", "water", "date"]


def pairs_file(path: Path) -> Path:
    """Eight pairs that prefer one sentence to another."""
    rows = [
        pair(
            prompt_id=f"{number}",
            prompt=user(f"Say something about the {word}."),
            chosen="It gives no date.",
            rejected="Rain falls on the hills.",
        )
        for number, word in enumerate(WORDS)
    ]
    return write_pairs(path, rows)


def test_adapters_on_packed_weights_move_in_steps_too_small_for_bfloat16(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wim.training.run import setup

    trained = []
    kept = setup.hold_adapters_in_float32

    def watched(model: torch.nn.Module) -> None:
        kept(model)
        trained.append(
            {name: each for name, each in model.named_parameters() if each.requires_grad}
        )
        before.update({name: each.detach().clone() for name, each in trained[0].items()})

    opened: dict[str, object] = {}
    opening = DpoTraining.open_model

    def seen(training: DpoTraining, folder: Path, **options: object) -> object:
        opened.update(options)
        return opening(training, folder, **options)

    monkeypatch.setattr(DpoTraining, "open_model", seen)
    before: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(setup, "hold_adapters_in_float32", watched)
    stage_model(ModelSource(source=f"path:{tiny_model}"), tmp_path / "base")
    train_dpo(
        pairs=pairs_file(tmp_path / "pairs.parquet"),
        settings=TrainingSettings(
            precision="bfloat16", warmup=0.0, batch_size=4, epochs=2, learning_rate=5e-6
        ),
        names={"arm": "packed", "round": 1, "reward": "r"},
        upstream_settings={},
        run=Run(
            manifest=tmp_path / "base/manifest.json",
            seed=0,
            per_device=4,
            store=tmp_path / "store",
            save_seconds=300,
            folder=tmp_path / "checkpoint",
            quantization="nf4",
            attention="eager",
        ),
    )
    assert opened["attn_implementation"] == "eager"
    assert {each.dtype for each in trained[0].values()} == {torch.float32}
    # B begins with 0, so that A has a gradient from the second step on.
    moved = [(trained[0][name] != old).float().mean() for name, old in before.items()]
    assert float(torch.stack(moved).mean()) > 0.9


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_adapters_learn_on_packed_weights_and_are_merged_into_whole_ones(
    tiny_model: Path, tmp_path: Path, quantization
) -> None:
    from peft import PeftModel

    stage_model(ModelSource(source=f"path:{tiny_model}"), tmp_path / "base")
    settings = TrainingSettings(
        precision="float32", warmup=0.0, batch_size=4, epochs=4, learning_rate=1e-2
    )
    train_dpo(
        pairs=pairs_file(tmp_path / "pairs.parquet"),
        settings=settings,
        names={"arm": "packed", "round": 1, "reward": "r"},
        upstream_settings={},
        run=Run(
            manifest=tmp_path / "base/manifest.json",
            seed=0,
            per_device=4,
            store=tmp_path / "store",
            save_seconds=300,
            folder=tmp_path / "checkpoint",
            quantization=quantization,
        ),
    )
    lines = (tmp_path / "checkpoint/metrics.jsonl").read_text().splitlines()
    losses = [row["loss"] for row in map(json.loads, lines) if "loss" in row]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-3) and losses[-1] < losses[0] / 2
    story = json.loads((tmp_path / "checkpoint/provenance.json").read_text())
    assert story["quantization"] == quantization

    whole = open_model(tiny_model, torch.float32, "cpu")
    expected = PeftModel.from_pretrained(whole, tmp_path / "checkpoint/adapter").eval()
    found = open_model(tmp_path / "checkpoint", torch.float32, "cpu")
    assert not hasattr(found.config, "quantization_config")
    tokens = torch.arange(5, 25)[None]
    with torch.inference_mode():
        torch.testing.assert_close(
            found(tokens).logits, expected(tokens).logits, atol=1e-3, rtol=1e-3
        )
