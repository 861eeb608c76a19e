"""Supervised fine-tuning with TRL's trainer: the loss of the completions' tokens alone."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from wim.engines.chat_format import Refusal
from wim.settings.dialogues import SystemAs
from wim.settings.sft import SftSettings
from wim.training.run.setup import Run, TrainerParts
from wim.training.run.training import Training, training_code
from wim.training.sft.completions import Taught, completion_splits
from wim.training.turns import TrainedTurns

logger = logging.getLogger(__name__)


def train_sft(
    prompts: list[Path],
    dialogues: list[Path],
    settings: SftSettings,
    system: str | None,
    name: str,
    upstream_settings: dict[str, Any],
    run: Run,
    system_as: SystemAs = "system",
) -> None:
    """Train on completions of training prompts, evaluate on held-out ones, write the checkpoint.

    Args:
        prompts: All shards of the prompts.
        dialogues: All shards of the policy that the settings name; none for references.
        settings: Those of the fine-tuning.
        system: The system message that precedes prompts of references that have none.
        name: That of the fine-tuning.
        upstream_settings: Those that made the completions, for the model card.
        run: Where the training starts from and goes to.
        system_as: Where the system message stands.

    Raises:
        UserError: No completion is left to train on, or see Training.write_checkpoint.
    """
    excluded: Counter[str] = Counter()
    train, held_out = completion_splits(prompts, dialogues, settings, system, excluded, system_as)
    for cause, count in sorted(excluded.items()):
        logger.info("sft: %d completions left out: %s", count, cause)
    SftTraining(
        run=run,
        settings=settings,
        upstream_settings=upstream_settings,
        names={"sft": name},
        title=f"fine-tuning {name}",
        completions=train,
        held_out=held_out,
    ).write_checkpoint()


def sft_code() -> str:
    """The digest of the code that decides the outcome of a fine-tuning."""
    return training_code(Path(__file__))


@dataclass(frozen=True, kw_only=True)
class SftTraining(Training):
    """Supervised fine-tuning on completions; held_out: those to evaluate on."""

    kind: ClassVar[str] = "sft"

    completions: Sequence[Taught]
    held_out: Sequence[Taught]

    def digests(self) -> Mapping[str, str]:
        """That of the completions."""
        from wim.provenance.digest import digest_of

        splits = [self.completions, self.held_out]
        return {"completions": digest_of([[*map(asdict, split)] for split in splits])}

    def code(self) -> str:
        """See sft_code."""
        return sft_code()

    def make_trainer(self, parts: TrainerParts) -> Any:
        """TRL's SFTTrainer on the completions."""
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        train, held_out = (
            Dataset.from_list(_rows(split, parts.turns))
            for split in (self.completions, self.held_out)
        )
        parts.turns.log(self.kind)
        return parts.trainer(
            SFTTrainer,
            SFTConfig,
            train=train,
            held_out=held_out,
            arguments={"completion_only_loss": True, "packing": False},
        )


def _rows(split: Sequence[Taught], turns: TrainedTurns) -> list[dict[str, list[int]]]:
    """TRL's rows of completions, without those whose prompt the chat template refuses.

    Raises Refusal if it refuses all of them.
    """
    rows, refused = [], []
    for taught in split:
        try:
            rows.append(_tokens(taught, turns))
        except Refusal as reason:
            refused.append(reason)
    if refused and not rows:
        raise refused[0]
    if refused:
        logger.warning("sft: %d completions left out; the first: %s", len(refused), refused[0])
    return rows


def _tokens(taught: Taught, turns: TrainedTurns) -> dict[str, list[int]]:
    """TRL's columns of a completion behind its prompt, which is no part of the loss."""
    turn = turns.turn(asdict(taught), taught.completion)
    prompt, (completion,) = turns.tokens(taught.context, turn)
    mask = [0] * len(prompt) + [1] * len(completion)
    return {"input_ids": prompt + completion, "completion_mask": mask}
