"""Preference training on a few rows with the tiny model."""

import copy
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.builders import pair, user, write_pairs
from wim.settings.losses import LOSSES
from wim.settings.training import TrainingSettings

WORDS = ["bread", "rain", "train", "hill", "water", "flour", "time", "noon"]


ROWS = [
    {
        "prompt": f"Of {word}:",
        "chosen": f" the {word} is here" + " again" * (place % 4),
        "rejected": f" no {word}" + ", no" * (place % 3),
        "prompt_id": f"p{place}",
        "chosen_id": f"c{place}",
        "rejected_id": f"r{place}",
    }
    for place, word in enumerate(WORDS)
]


SMOOTHED = {name for name, kind in LOSSES.items() if kind.smoothing}


class Loaded(NamedTuple):
    """The tiny model, read once; trainers take a copy."""

    folder: Path
    model: Any
    tokenizer: Any


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> Loaded:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    return Loaded(tiny_model, model, AutoTokenizer.from_pretrained(tiny_model))


def tokenised(rows: list[dict[str, str]], tokenizer: Any) -> list[dict[str, Any]]:
    """TRL's columns of rows of plain text, each completion with the token that ends it."""

    def ids(text: str) -> list[int]:
        return list(tokenizer(text)["input_ids"])

    return [
        {
            **{name: row[name] for name in row if name.endswith("_id")},
            "prompt_ids": ids(row["prompt"]),
            **{
                f"{side}_ids": [*ids(row[side]), tokenizer.eos_token_id]
                for side in ("chosen", "rejected")
            },
        }
        for row in rows
    ]


def trainer_for(
    loaded: Loaded,
    folder: Path,
    settings: TrainingSettings,
    steps: int,
    rows: list[dict[str, str]] = ROWS,
    reference: Any = None,
    **arguments: Any,
) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import DPOConfig

    from wim.training.dpo.trainer import PreferenceTrainer, loss_arguments

    set_seed(0)
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")
    defaults = {
        "output_dir": str(folder),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant",
        "max_steps": steps,
        "per_device_train_batch_size": 4,
        "max_length": settings.max_length,
        "bf16": False,
        "gradient_checkpointing": False,
        "use_cpu": True,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    return PreferenceTrainer(
        settings,
        reference,
        model=copy.deepcopy(loaded.model),
        processing_class=loaded.tokenizer,
        args=DPOConfig(**{**defaults, **loss_arguments(settings), **arguments}),
        train_dataset=Dataset.from_list(tokenised(rows, loaded.tokenizer)),
        eval_dataset=Dataset.from_list(tokenised(ROWS[:2], loaded.tokenizer))
        if "eval_strategy" in arguments
        else None,
        peft_config=lora if settings.lora else None,
    )


def history(
    loaded: Loaded, folder: Path, settings: TrainingSettings, steps: int = 3, **arguments: Any
) -> list[dict[str, float]]:
    trainer = trainer_for(loaded, folder, settings, steps, **arguments)
    trainer.train()
    return [row for row in trainer.state.log_history if "loss" in row]


def settings_of(loss: str | dict[str, float], **options: Any) -> TrainingSettings:
    """A learning rate at which the policy leaves the reference within a step."""
    names = {loss} if isinstance(loss, str) else set(loss)
    if names & SMOOTHED:
        options.setdefault("label_smoothing", 0.1)
    return TrainingSettings(loss=loss, **{"learning_rate": 3e-3, **options})


def trained(
    tiny_model: Path,
    folder: Path,
    settings: TrainingSettings,
    rows: list[dict[str, str]] = ROWS,
    **more: Any,
) -> Path:
    """The checkpoint of a training as a job does it."""
    from wim.models.manifest import write_manifest
    from wim.training.dpo.train import train_dpo
    from wim.training.run.setup import Run

    base = folder / "base"
    if not base.exists():
        shutil.copytree(tiny_model, base)
        write_manifest(base, "tiny")
    listed = [pair(**{**row, "prompt": user(row["prompt"])}) for row in rows]
    pairs = write_pairs(folder / "pairs.parquet", listed)
    run: dict[str, Any] = {
        "manifest": base / "manifest.json",
        "seed": 0,
        "per_device": 4,
        "store": folder / "store/train_dpo",
        "save_seconds": 300,
        "folder": folder / "checkpoint",
    }
    names = {"arm": "mixed", "round": 1, "reward": "r"}
    train_dpo(pairs, settings, names, {}, Run(**{**run, **more}))
    return folder / "checkpoint"
