"""Direct preference optimisation with TRL's trainer (Rafailov et al. 2023, arXiv 2305.18290)."""

import json
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from wim.scratch import local_copy
from wim.settings.training import TrainingSettings
from wim.stopping import first_process, pass_on, reason_to_stop
from wim.training.preferences import preference_splits
from wim.training.run import PLUMBING, Prepared, Run, write_trained
from wim.training.weights import open_language_model

logger = logging.getLogger(__name__)


def write_checkpoint(
    pairs: Path,
    settings: TrainingSettings,
    names: dict[str, Any],
    behind: dict[str, Any],
    run: Run,
    reference: Path | None = None,
    verdicts: Sequence[Path] = (),
) -> None:
    """Train on the pairs' train split, evaluate on its eval split, and write the checkpoint.

    names: the `arm`, `round` and `reward`, and `sft_learning_rate` where the model was fine-tuned
    before. behind: settings that made the pairs, for the card. reference: manifest of the
    reference model; without one it is the model that is trained. verdicts: what may have stopped
    the arm, whose last checkpoint is then passed on. See wim.training.run.
    """
    from wim.digest import digest_file
    from wim.models import read_manifest

    if stopped := reason_to_stop(verdicts):
        if first_process():
            pass_on(run.manifest.parent, stopped, names, run.folder)
        return
    held_to = {"reference model": read_manifest(reference).digest} if reference else {}

    story = {
        **names,
        "kind": "dpo",
        "title": f"arm {names['arm']}, round {names['round']}",
        "settings": behind,
        "digests": {"pairs": digest_file(pairs), **held_to},
    }
    folder = local_copy(reference, run.scratch).parent if reference else None
    make = partial(trainer_for, pairs, settings, names.get("sft_learning_rate"), folder)
    measure = partial(measured, run.manifest.parent, settings.max_length)
    write_trained(run, settings, story, training_code(), open_language_model, make, measure)


def measured(base: Path, max_length: int, trainer: Any, folder: Path) -> None:
    """Add the KL divergence to the reference to the checkpoint's metrics.

    base: folder of the model that was trained.
    """
    from wim.training.divergence import kl_to_reference

    if kl := kl_to_reference(trainer, base, max_length):
        row = {"step": trainer.state.global_step, "epoch": trainer.state.epoch, **kl}
        with (folder / "metrics.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")


def training_code() -> str:
    """The digest of the code that decides the outcome of a training."""
    from wim.digest import code_digest

    return code_digest(Path(__file__), without=(*PLUMBING, "wim.training.divergence"))


def trainer_for(
    pairs: Path,
    settings: TrainingSettings,
    sft_learning_rate: float | None,
    reference: Path | None,
    prepared: Prepared,
) -> Any:
    """The trainer on the pairs; sft_learning_rate: that of the fine-tuning before, if any.

    reference: folder of the reference model, if it is not the one that is trained.
    """
    from trl import DPOConfig

    from wim.training.guards import notes
    from wim.training.preference_trainer import PreferenceTrainer, loss_arguments

    for note in notes(settings, prepared.micro_batch, sft_learning_rate):
        logger.info("dpo: %s", note)
    return prepared.trainer(
        (PreferenceTrainer, DPOConfig),
        preference_splits(pairs),
        loss_arguments(settings),
        settings=settings,
        ref_model=open_language_model(reference, dtype=prepared.parts["model"].dtype)
        if reference
        else None,
    )
