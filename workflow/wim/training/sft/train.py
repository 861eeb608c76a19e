"""Supervised fine-tuning with TRL's trainer: the loss of the completions' tokens alone."""

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.settings.sft import SftSettings
from wim.training.run.run import training_code, write_trained
from wim.training.run.setup import Prepared, Run
from wim.training.run.weights import open_language_model
from wim.training.sft.completions import completion_splits

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


def train_sft(
    prompts: list[Path],
    dialogues: list[Path],
    settings: SftSettings,
    system: str | None,
    name: str,
    upstream_settings: dict[str, Any],
    run: Run,
) -> None:
    """Train on completions of the training prompts, evaluate on the others', write the checkpoint.

    dialogues: all shards of the policy that the settings name; none for references, whose prompts
    stand behind the `system` message. name: of the fine-tuning. upstream_settings: those that made the
    completions, for the card. See wim.training.run.run.
    """
    excluded: Counter[str] = Counter()
    splits = completion_splits(prompts, dialogues, settings, system, excluded)
    for cause, count in sorted(excluded.items()):
        logger.info("sft: %d completions left out: %s", count, cause)
    story = {
        "sft": name,
        "kind": "sft",
        "title": f"fine-tuning {name}",
        "settings": upstream_settings,
        "digests": {"completions": _digest(splits)},
    }
    make = partial(_trainer, splits)
    write_trained(run, settings, story, sft_code(), open_language_model, make)


def sft_code() -> str:
    """The digest of the code that decides the outcome of a training."""
    return training_code(Path(__file__))


def _digest(splits: "Sequence[Dataset]") -> str:
    from wim.provenance.digest import digest_of

    return digest_of([split.to_list() for split in splits])


def _trainer(splits: "tuple[Dataset, Dataset]", prepared: Prepared) -> Any:
    from trl import SFTConfig, SFTTrainer

    # Prompt and completion are columns of their own, so the loss leaves the prompt's tokens out.
    config = {"completion_only_loss": True, "packing": False}
    return prepared.trainer((SFTTrainer, SFTConfig), splits, config)
