"""A reward model with TRL's trainer: one number for a conversation, by Bradley and Terry's model."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.display.json_files import write_json
from wim.settings.reward_models import RewardModelSettings
from wim.training.preference_data import preference_splits
from wim.training.run.run import training_code, write_trained
from wim.training.run.setup import Prepared, Run
from wim.training.run.weights import open_scoring_model

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)
EVALUATION = "evaluation.json"


def train_reward_model(
    pairs: Path,
    settings: RewardModelSettings,
    name: str,
    upstream_settings: dict[str, Any],
    run: Run,
) -> None:
    """Train on the pairs' train split, measure on its eval split, and write the model.

    Beside what every checkpoint has there is evaluation.json: accuracy and calibration on the
    pairs that were held out, null where there are none. name: of the reward model. upstream_settings:
    settings that made the pairs, for the card. See wim.training.run.run.
    """
    from wim.provenance.digest import digest_file

    story = {
        "reward_model": name,
        "kind": "reward_model",
        "title": f"reward model {name}",
        "settings": upstream_settings,
        "digests": {"pairs": digest_file(pairs)},
    }
    report = partial(_evaluate, settings)
    make = partial(_trainer, pairs, settings)
    write_trained(run, settings, story, reward_model_code(), open_scoring_model, make, report)


def reward_model_code() -> str:
    """The digest of the code that decides the outcome of a training."""
    return training_code(Path(__file__))


def _trainer(pairs: Path, settings: RewardModelSettings, prepared: Prepared) -> Any:
    from trl import RewardConfig, RewardTrainer

    config = {"center_rewards_coefficient": settings.centering}
    # The trainer would take the pairs' ids for nothing; their margin it would add to the loss.
    texts = tuple(
        split.select_columns(["prompt", "chosen", "rejected"]) if len(split) else split
        for split in preference_splits(pairs)
    )
    return prepared.trainer((RewardTrainer, RewardConfig), texts, config)


def _evaluate(settings: RewardModelSettings, trainer: Any, folder: Path) -> None:
    """Write accuracy and calibration on the held-out pairs."""
    from wim.evaluation.calibration import calibration

    held_out = trainer.eval_dataset
    told = None
    if held_out is not None and len(held_out):
        found = calibration(_margins(trainer, held_out), settings.bins)
        logger.info(
            "reward model: %d pairs held out, accuracy %.3f, log-loss %.3f (a coin: 0.693), "
            "expected calibration error %.3f",
            *(found.pairs, found.accuracy, found.log_loss, found.expected_calibration_error),
        )
        told = asdict(found)
    else:
        logger.warning("reward model: no pair is held out, so that nothing is known of its worth")
    write_json(folder / EVALUATION, {"held_out": told})


def _margins(trainer: Any, pairs: "Dataset") -> list[float]:
    """The numbers of chosen minus rejected, a pair at a time, as a judge reads them alone."""
    import torch

    model = trainer.accelerator.unwrap_model(trainer.model).eval()

    def number(tokens: Sequence[int]) -> float:
        row = torch.tensor([list(tokens)], device=model.device)
        with torch.no_grad(), trainer.compute_loss_context_manager():
            return float(model(input_ids=row, attention_mask=torch.ones_like(row)).logits[0, 0])

    def margin(pair: Mapping[str, Any]) -> float:
        return number(pair["chosen_ids"]) - number(pair["rejected_ids"])

    return [margin(pair) for pair in pairs]
