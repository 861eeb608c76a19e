"""Direct preference optimisation with TRL's trainer (Rafailov et al. 2023, arXiv 2305.18290)."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from wim.settings.losses import LOSSES
from wim.settings.training import TrainingSettings
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
) -> None:
    """Train on the pairs' train split, evaluate on its eval split, and write the checkpoint.

    names: the `arm`, `round` and `reward`, and `sft_learning_rate` where the model was fine-tuned
    before. behind: settings that made the pairs, for the card. See wim.training.run.
    """
    from wim.digest import digest_file
    from wim.models import read_manifest

    run = replace(run, per_device=_pairs_at_once(settings, run.per_device))
    reference = (run.store.with_name("reference_log_probs"), read_manifest(run.manifest).digest)
    story = {
        **names,
        "kind": "dpo",
        "title": f"arm {names['arm']}, round {names['round']}",
        "settings": behind,
        "digests": {"pairs": digest_file(pairs)},
    }
    make = partial(trainer_for, pairs, settings, names.get("sft_learning_rate"), reference)
    write_trained(run, settings, story, training_code(), open_language_model, make)


def training_code() -> str:
    """The digest of the code that decides the outcome of a training."""
    from wim.digest import code_digest

    return code_digest(Path(__file__), without=PLUMBING)


def _pairs_at_once(settings: TrainingSettings, per_device: int) -> int:
    """A processor is as fast with one pair at a time, and holds the activations of that one alone."""
    import torch

    over_batch = any(LOSSES[name].over_batch for name in settings.loss_weights)
    return per_device if over_batch or torch.cuda.is_available() else 1


def trainer_for(
    pairs: Path,
    settings: TrainingSettings,
    sft_learning_rate: float | None,
    reference: tuple[Path, str],
    prepared: Prepared,
) -> Any:
    """The trainer on the pairs.

    sft_learning_rate: that of the fine-tuning before, if any. reference: the folder of stored
    log-probabilities, and the digest of the reference model.
    """
    from trl import DPOConfig

    from wim.training.batches import PAD_TO
    from wim.training.guards import notes
    from wim.training.preference_trainer import PreferenceTrainer, loss_arguments
    from wim.training.reference import ReferenceStore

    for note in notes(settings, prepared.micro_batch, sft_learning_rate):
        logger.info("dpo: %s", note)
    return prepared.trainer(
        (PreferenceTrainer, DPOConfig),
        preference_splits(pairs),
        {
            **loss_arguments(settings),
            "pad_to_multiple_of": PAD_TO,
            "precompute_ref_log_probs": True,
        },
        settings=settings,
        reference=ReferenceStore(*reference),
    )
