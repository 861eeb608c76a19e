"""Direct preference optimisation with TRL's trainer (Rafailov et al. 2023, arXiv 2305.18290)."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

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

    story = {
        **names,
        "kind": "dpo",
        "title": f"arm {names['arm']}, round {names['round']}",
        "settings": behind,
        "digests": {"pairs": digest_file(pairs)},
    }
    make = partial(trainer_for, pairs, settings, names.get("sft_learning_rate"))
    write_trained(run, settings, story, training_code(), open_language_model, make)


def training_code() -> str:
    """The digest of the code that decides the outcome of a training."""
    from wim.digest import code_digest

    return code_digest(Path(__file__), without=PLUMBING)


def trainer_for(
    pairs: Path, settings: TrainingSettings, sft_learning_rate: float | None, prepared: Prepared
) -> Any:
    """The trainer on the pairs; sft_learning_rate: that of the fine-tuning before, if any."""
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
    )
