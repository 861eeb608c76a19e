"""Direct preference optimisation with TRL's trainer (Rafailov et al. 2023, arXiv 2305.18290)."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from wim.models.node_copy import local_copy
from wim.rounds.stop import reason_to_stop
from wim.settings.losses import LOSSES
from wim.settings.training import TrainingSettings
from wim.training.dpo.carry_forward import carry_forward
from wim.training.preference_data import preference_splits
from wim.training.run.processes import is_first_process
from wim.training.run.run import training_code, write_trained
from wim.training.run.setup import Prepared, Run
from wim.training.run.weights import open_language_model

logger = logging.getLogger(__name__)


def train_dpo(
    pairs: Path,
    settings: TrainingSettings,
    names: dict[str, Any],
    upstream_settings: dict[str, Any],
    run: Run,
    reference: Path | None = None,
    verdicts: Sequence[Path] = (),
) -> None:
    """Train on the pairs' train split, evaluate on its eval split, and write the checkpoint.

    names: the `arm`, `round` and `reward`, and `sft_learning_rate` where the model was fine-tuned
    before. upstream_settings: those that made the pairs, for the card. reference: manifest of the
    reference model; without one it is the model that is trained. verdicts: what may have stopped
    the arm, whose last checkpoint is then passed on. See wim.training.run.run.
    """
    from wim.models.manifest import read_manifest
    from wim.provenance.digest import digest_file

    if stopped := reason_to_stop(verdicts):
        if is_first_process():
            carry_forward(run.manifest.parent, stopped, names, run.folder)
        return
    held_to = {"reference model": read_manifest(reference).digest} if reference else {}

    run = replace(run, per_device=_pairs_at_once(settings, run.per_device))
    story = {
        **names,
        "kind": "dpo",
        "title": f"arm {names['arm']}, round {names['round']}",
        "settings": upstream_settings,
        "digests": {"pairs": digest_file(pairs), **held_to},
    }
    folder = local_copy(reference, run.scratch).parent if reference else None
    known = run.store.with_name("reference_log_probs")
    digest = read_manifest(reference or run.manifest).digest
    if reference is None and run.quantization != "none":
        digest = f"{digest} {run.quantization}"
    make = partial(
        trainer_for, pairs, settings, names.get("sft_learning_rate"), (known, digest), folder
    )
    measure = partial(measured, run.manifest.parent, settings.max_length)
    write_trained(run, settings, story, dpo_code(), open_language_model, make, measure)


def measured(base: Path, max_length: int, trainer: Any, folder: Path) -> None:
    """Add the KL divergence to the reference to the checkpoint's metrics.

    base: folder of the model that was trained.
    """
    from wim.training.records.kl import kl_to_reference

    if kl := kl_to_reference(trainer, base, max_length):
        row = {"step": trainer.state.global_step, "epoch": trainer.state.epoch, **kl}
        with (folder / "metrics.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")


def dpo_code() -> str:
    """The digest of the code that decides the outcome of a training."""
    return training_code(Path(__file__))


def _pairs_at_once(settings: TrainingSettings, per_device: int) -> int:
    """A processor is as fast with one pair at a time, and holds the activations of that one alone."""
    import torch

    over_batch = any(LOSSES[name].over_batch for name in settings.loss_weights)
    return per_device if over_batch or torch.cuda.is_available() else 1


def trainer_for(
    pairs: Path,
    settings: TrainingSettings,
    sft_learning_rate: float | None,
    known: tuple[Path, str],
    reference: Path | None,
    prepared: Prepared,
) -> Any:
    """The trainer on the pairs.

    sft_learning_rate: that of the fine-tuning before, if any. known: the folder of stored
    log-probabilities, and the digest of the reference model. reference: its folder, if it is not
    the model that is trained.
    """
    from trl import DPOConfig

    from wim.training.dpo.batches import PAD_TO
    from wim.training.dpo.reference import ReferenceStore
    from wim.training.dpo.trainer import PreferenceTrainer, loss_arguments
    from wim.training.records.notes import notes

    for note in notes(settings, prepared.micro_batch, sft_learning_rate):
        logger.info("dpo: %s", note)
    return prepared.trainer(
        (PreferenceTrainer, DPOConfig),
        preference_splits(pairs),
        {
            **loss_arguments(settings),
            "pad_to_multiple_of": PAD_TO,
            "precompute_ref_log_probs": "fsdp" not in prepared.arguments,
        },
        settings=settings,
        reference=ReferenceStore(*known),
        ref_model=open_language_model(reference, dtype=prepared.parts["model"].dtype)
        if reference
        else None,
    )
