"""A reward model with TRL's trainer: one number for a conversation (Bradley and Terry 1952)."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from wim.display.json_files import write_json
from wim.models.manifest import EVALUATION
from wim.settings.reward_models import RewardModelSettings
from wim.training.preference_data import conversation_tokens, preference_splits
from wim.training.run.setup import Run, TrainerParts
from wim.training.run.training import Training, training_code
from wim.training.run.weights import open_scoring_model

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


def train_reward_model(
    pairs: Path,
    settings: RewardModelSettings,
    name: str,
    upstream_settings: dict[str, Any],
    run: Run,
) -> None:
    """Train on the pairs' train split, measure on its eval split, and write the model.

    The checkpoint has a further file, evaluation.json: accuracy and calibration on the held-out
    pairs, null if there are none.

    Args:
        pairs: The table of pairs.
        settings: Those of the reward model.
        name: That of the reward model.
        upstream_settings: Those that made the pairs, for the model card.
        run: Where the training starts from and goes to.

    Raises:
        UserError: See Training.write_checkpoint.
    """
    RewardModelTraining(
        run=run,
        settings=settings,
        upstream_settings=upstream_settings,
        names={"reward_model": name},
        title=f"reward model {name}",
        pairs=pairs,
    ).write_checkpoint()


def reward_model_code() -> str:
    """The digest of the code that decides the outcome of a reward model's training."""
    return training_code(Path(__file__))


@dataclass(frozen=True, kw_only=True)
class RewardModelTraining(Training):
    """The training of a reward model on a table of pairs."""

    kind: ClassVar[str] = "reward_model"

    settings: RewardModelSettings
    pairs: Path

    def digests(self) -> Mapping[str, str]:
        """That of the pairs."""
        from wim.provenance.digest import digest_file

        return {"pairs": digest_file(self.pairs)}

    def code(self) -> str:
        """See reward_model_code."""
        return reward_model_code()

    def open_model(self, folder: Path, **options: Any) -> Any:
        """A model with a head for one number."""
        return open_scoring_model(folder, **options)

    def make_trainer(self, parts: TrainerParts) -> Any:
        """TRL's RewardTrainer on the pairs."""
        from trl import RewardConfig, RewardTrainer

        train, held_out = preference_splits(
            self.pairs, lambda row: conversation_tokens(row, parts.turns)
        )
        parts.turns.log(self.kind)
        return parts.trainer(
            RewardTrainer,
            RewardConfig,
            train=train,
            held_out=held_out,
            arguments={"center_rewards_coefficient": self.settings.centering},
        )

    def report(self, trainer: Any, folder: Path) -> None:
        """Write accuracy and calibration on the held-out pairs."""
        from wim.evaluation.calibration import calibration

        pairs = trainer.eval_dataset
        measured = None
        if pairs is not None and len(pairs):
            found = calibration(_margins(trainer, pairs), self.settings.bins)
            logger.info(
                "reward model: %d pairs held out, accuracy %.3f, log-loss %.3f (a coin: 0.693), "
                "expected calibration error %.3f",
                found.pairs,
                found.accuracy,
                found.log_loss,
                found.expected_calibration_error,
            )
            measured = asdict(found)
        else:
            logger.warning("reward model: no pair is held out, so its accuracy is unknown")
        write_json(folder / EVALUATION, {"held_out": measured})


def _margins(trainer: Any, pairs: "Dataset") -> list[float]:
    """The numbers of chosen minus rejected, each conversation on its own, as a judge scores it."""
    import torch

    model = trainer.accelerator.unwrap_model(trainer.model).eval()

    def number(tokens: Sequence[int]) -> float:
        row = torch.tensor([list(tokens)], device=model.device)
        with torch.no_grad(), trainer.compute_loss_context_manager():
            return float(model(input_ids=row, attention_mask=torch.ones_like(row)).logits[0, 0])

    def margin(pair: Mapping[str, Any]) -> float:
        return number(pair["chosen_ids"]) - number(pair["rejected_ids"])

    return [margin(pair) for pair in pairs]
