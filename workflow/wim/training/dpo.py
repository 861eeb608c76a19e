"""Direct preference optimisation with TRL's trainer (Rafailov et al. 2023, arXiv 2305.18290)."""

import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.errors import UserError
from wim.settings.training import TrainingSettings
from wim.table_files import read_table
from wim.tables import PAIRS
from wim.training.card import model_card
from wim.training.common import (
    accumulation_steps,
    autocast_bf16,
    unclocked,
    whole_folder,
    write_json_lines,
    write_manifest,
)

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)
# What does not decide the outcome of a training.
PLUMBING = (
    "wim.tables",
    "wim.table_files",
    "wim.errors",
    "wim.digest",
    "wim.training.card",
    "wim.training.guards",
    "wim.models",
    "wim.scratch",
    "wim.code_changes",
    "wim.walltime",
)


def write_checkpoint(
    pairs: Path,
    manifest: Path,
    settings: TrainingSettings,
    seed: int,
    names: dict[str, Any],
    behind: dict[str, Any],
    per_device: int,
    store: Path,
    save_seconds: float,
    folder: Path,
    scratch: str | None = None,
) -> None:
    """Train on the pairs' train split, evaluate on its eval split, and write the checkpoint.

    names: the `arm`, `round` and `reward`. behind: settings that made the pairs, for the card.
    The folder holds the merged model (safetensors), the tokenizer with its chat template, the
    adapter, the model card (README.md), trainer_state.json, metrics.jsonl, provenance.json and
    manifest.json. It appears whole or not at all.

    Of several processes (wim.training.launch) all train, and the first one writes.

    The trainer saves itself under `store`, in a directory named by everything that decides the
    outcome, so that a killed job goes on and no other ever takes its state.
    """
    from wim.code_changes import behind_checkpoint, stored_code
    from wim.digest import digest_file, row_id
    from wim.models import read_manifest
    from wim.scratch import local_copy

    base = read_manifest(manifest)
    story = {
        **names,
        "base": base.source,
        "settings": {**behind, "training": settings.model_dump(mode="json"), "seed": seed},
        "digests": {"base model": base.digest, "pairs": digest_file(pairs)},
        "accepted": behind_checkpoint(),
    }
    decided_by = {
        "training": settings.model_dump(mode="json"),
        "seed": seed,
        "digests": story["digests"],
        "code": stored_code(store, training_code()),
    }
    working = store / row_id(decided_by)
    opened = local_copy(manifest, scratch).parent
    trainer = _trained(pairs, opened, settings, seed, per_device, working, save_seconds)
    if not trainer.is_world_process_zero():
        return
    with whole_folder(folder) as partial:
        _save_model(trainer, opened, manifest.parent, settings, partial)
        history = [unclocked(row) for row in trainer.state.log_history]
        write_json_lines(partial / "metrics.jsonl", history)
        state = {
            "global_step": trainer.state.global_step,
            "epoch": trainer.state.epoch,
            "max_steps": trainer.state.max_steps,
            "log_history": history,
        }
        _write_json(partial / "trainer_state.json", state)
        _write_json(partial / "provenance.json", story)
        (partial / "README.md").write_text(model_card(story, history), encoding="utf-8")
        write_manifest(partial, f"arm {names['arm']}, round {names['round']}")
    shutil.rmtree(working, ignore_errors=True)


def training_code() -> str:
    """The digest of the code that decides the outcome of a training."""
    from wim.digest import code_digest

    return code_digest(Path(__file__), without=PLUMBING)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def preference_dataset(pairs: Path, split: str) -> "Dataset":
    """The pairs of a split: TRL's columns prompt, chosen and rejected, and the ids of each."""
    import pyarrow.compute as pc
    from datasets import Dataset

    ids = ["prompt_id", "chosen_id", "rejected_id"]
    table = read_table(pairs, PAIRS, ["prompt", "chosen", "rejected", *ids, "split"])
    rows = table.filter(pc.equal(table["split"], split)).drop(["split"])
    return Dataset.from_list(rows.to_pylist())


def _trained(
    pairs: Path,
    base: Path,
    settings: TrainingSettings,
    seed: int,
    per_device: int,
    working: Path,
    save_seconds: float,
) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import DPOConfig

    from wim.training.callbacks import ProgressLog, Resumable, last_saved
    from wim.training.guards import notes
    from wim.training.preference_trainer import PreferenceTrainer, loss_arguments

    train, held_out = (preference_dataset(pairs, split) for split in ("train", "eval"))
    if not len(train):
        raise UserError(f"{pairs}: no row has the split 'train'; nothing to train on.")
    devices = int(os.environ.get("WORLD_SIZE", 1))
    half = autocast_bf16(settings.precision)
    # Frozen weights need no more than the precision they are multiplied in; adapters stay float32.
    dtype = torch.bfloat16 if half and settings.lora else torch.float32
    micro, accumulation = accumulation_steps(settings.batch_size, per_device, devices)
    for note in notes(settings, micro):
        logger.info("dpo: %s", note)
    resumable = Resumable(save_seconds)
    trainer = PreferenceTrainer(
        settings,
        model=AutoModelForCausalLM.from_pretrained(base, dtype=dtype),
        processing_class=AutoTokenizer.from_pretrained(base),
        args=DPOConfig(
            output_dir=str(working),
            seed=seed,
            **loss_arguments(settings),
            learning_rate=settings.learning_rate,
            lr_scheduler_type=settings.scheduler,
            warmup_steps=settings.warmup,
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=micro,
            per_device_eval_batch_size=micro,
            gradient_accumulation_steps=accumulation,
            max_length=settings.max_length,
            max_grad_norm=settings.max_grad_norm,
            weight_decay=settings.weight_decay,
            bf16=half,
            gradient_checkpointing=settings.gradient_checkpointing,
            use_cpu=not torch.cuda.is_available(),
            logging_steps=1,
            eval_strategy="epoch" if len(held_out) else "no",
            save_strategy="no",
            save_total_limit=2,
            report_to="none",
            disable_tqdm=True,
            ddp_find_unused_parameters=False,
            dataloader_pin_memory=torch.cuda.is_available(),
        ),
        train_dataset=train,
        eval_dataset=held_out if len(held_out) else None,
        peft_config=_lora(settings),
        callbacks=[ProgressLog(), resumable],
    )
    trainer.remove_callback(PrinterCallback)
    logger.info(
        "dpo: %d pairs, %d held out, batches of %d x %d x %d",
        len(train),
        len(held_out),
        devices,
        accumulation,
        micro,
    )
    saved = last_saved(working)
    if saved:
        logger.info("dpo: going on from %s", saved.name)
    trainer.train(resume_from_checkpoint=str(saved) if saved else None)
    if resumable.stopped_by:
        logger.warning("dpo: stopped by a signal and saved; run again to go on")
        sys.exit(128 + resumable.stopped_by)
    return trainer


def _lora(settings: TrainingSettings) -> Any:
    from peft import LoraConfig

    if settings.lora is None:
        return None
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules=settings.lora.target_modules,
    )


def _save_model(
    trainer: Any, base: Path, name: Path, settings: TrainingSettings, folder: Path
) -> None:
    """The adapter beside the merged model, which opens without peft.

    The adapter is merged into the base model's own weights, not into those rounded for training.
    It notes down `name` as the place of its base, wherever `base` was opened from.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = trainer.accelerator.unwrap_model(trainer.model)
    if settings.lora is not None:
        for adapter in model.peft_config.values():
            adapter.base_model_name_or_path = str(name)
        inner = model.get_base_model()
        inner.name_or_path = inner.config.name_or_path = str(name)
        model.save_pretrained(folder / "adapter")
        whole = AutoModelForCausalLM.from_pretrained(base)
        model = PeftModel.from_pretrained(whole, folder / "adapter").merge_and_unload()
    model.save_pretrained(folder)
    trainer.processing_class.save_pretrained(folder)
