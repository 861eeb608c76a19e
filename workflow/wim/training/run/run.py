"""One training, from a staged model to a checkpoint: what all trainers share."""

import logging
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wim.atomic import whole_folder
from wim.display.json_files import write_json, write_json_lines
from wim.models.manifest import write_manifest
from wim.settings.optimization import OptimizationSettings
from wim.training.run.files import unclocked
from wim.training.run.setup import Prepared, Run, prepare
from wim.training.run.sharding import whole_weights
from wim.training.run.weights import OpenModel, save_model

logger = logging.getLogger(__name__)


def training_code(entry: Path, *further: str) -> str:
    """The digest of the code that decides the outcome of a training.

    Args:
        entry: The module of the method.
        further: Packages that decide it besides those of training.
    """
    from wim.provenance.digest import code_digest

    within = ("wim.training", "wim.engines.local", "wim.engines.special_tokens", *further)
    return code_digest(entry, within=within, without=("wim.training.records",))


def write_trained(
    run: Run,
    settings: OptimizationSettings,
    story: Mapping[str, Any],
    code: str,
    open_model: OpenModel,
    make_trainer: Callable[[Prepared], Any],
    report: Callable[[Any, Path], None] | None = None,
) -> None:
    """Train, evaluate on what is held out, and write the checkpoint.

    story: `kind` and `title`, the `settings` and the `digests` behind the data, by name, for the
    card. code: the digest of what decides the outcome. open_model: from a folder. report: writes
    further files into the new folder. The folder holds the merged model (safetensors), the
    tokenizer with its chat template, the adapter, the model card (README.md), trainer_state.json,
    metrics.jsonl, provenance.json and manifest.json. It appears whole or not at all.

    Of several processes (wim.training.run.launch) all train, and the first one writes.

    The trainer saves itself under the run's store, in a directory named by everything that
    decides the outcome, so that a killed job goes on and no other ever takes its state.
    """
    from wim.models.manifest import read_manifest
    from wim.models.node_copy import local_copy
    from wim.provenance.code_changes import behind_checkpoint, stored_code
    from wim.provenance.digest import row_id
    from wim.training.records.card import model_card
    from wim.training.records.resource_errors import shortages_told

    base = read_manifest(run.manifest)
    own = settings.model_dump(mode="json")
    story = {
        **story,
        "base": base.source,
        "settings": {**story["settings"], "training": own, "seed": run.seed},
        "digests": {"base model": base.digest, **story["digests"]},
        "accepted": behind_checkpoint(),
    }
    decided_by = {
        "training": own,
        "seed": run.seed,
        "digests": story["digests"],
        "code": stored_code(run.store, code),
    }
    if run.quantization != "none":
        decided_by["quantization"] = story["quantization"] = run.quantization
    if run.sharded:
        # Its saved states are of another form.
        decided_by["parallel"] = run.parallel
    working = run.store / row_id(decided_by)
    opened = local_copy(run.manifest, run.scratch).parent
    with shortages_told(settings, run.per_device, working):
        prepared, resumable = prepare(run, settings, story["kind"], opened, open_model, working)
        trainer = make_trainer(prepared)
        train(trainer, working, resumable, story["kind"])
        weights = whole_weights(trainer)
    if not trainer.is_world_process_zero():
        return
    with (
        shortages_told(settings, run.per_device, working),
        whole_folder(run.folder) as partial,
    ):
        save_model(trainer, weights, opened, run.manifest.parent, settings, open_model, partial)
        history = [unclocked(row) for row in trainer.state.log_history]
        write_json_lines(partial / "metrics.jsonl", history)
        state = {
            "global_step": trainer.state.global_step,
            "epoch": trainer.state.epoch,
            "max_steps": trainer.state.max_steps,
            "log_history": history,
        }
        write_json(partial / "trainer_state.json", state)
        write_json(partial / "provenance.json", story)
        (partial / "README.md").write_text(model_card(story, history), encoding="utf-8")
        if report:
            report(trainer, partial)
        write_manifest(partial, story["title"])
    shutil.rmtree(working, ignore_errors=True)


def train(trainer: Any, working: Path, resumable: Any, name: str) -> None:
    """Train from the last saved state to the end, or until a signal."""
    from transformers import PrinterCallback

    from wim.training.run.callbacks import GoesOnCounting, last_saved

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(GoesOnCounting(trainer))
    saved = last_saved(working)
    if saved:
        logger.info("%s: going on from %s", name, saved.name)
    trainer.train(resume_from_checkpoint=str(saved) if saved else None)
    if resumable.stopped_by:
        logger.warning("%s: stopped by a signal and saved; run again to go on", name)
        sys.exit(128 + resumable.stopped_by)
