"""What online DPO needs of an arm's settings."""

from collections.abc import Iterator

from wim.settings.dialogues import DialogueSettings
from wim.settings.rewards import RewardSettings
from wim.settings.training import LOSS_OPTIONS, TrainingSettings

# The losses that TRL's online trainer has.
ONLINE_LOSSES = ("sigmoid", "ipo")
# Rewards of one candidate that need others, which online are not there yet, or other rewards.
TOGETHER = ("shuffled_wim", "panel")


def online_problems(
    arm: str,
    training: TrainingSettings,
    reward: RewardSettings | None,
    dialogues: DialogueSettings,
) -> Iterator[str]:
    """One line for each setting with which an arm cannot train online: the key and what to write."""
    if training.loss not in ONLINE_LOSSES:
        yield (
            f"arms.{arm}.training.loss: found {training.loss_label}; write one of "
            f"{', '.join(ONLINE_LOSSES)} for method online_dpo."
        )
    for option, off in LOSS_OPTIONS.items():
        if getattr(training, option) != off:
            yield f"arms.{arm}.training.{option}: online_dpo has no use for it; leave it out."
    if reward is None:
        yield f"arms.{arm}.comparison: online_dpo takes a reward; write reward: <name>."
    elif reward.kind in TOGETHER:
        yield (
            f"arms.{arm}.reward: found a reward of the kind {reward.kind}, which cannot be given to a "
            "completion as it is drawn; write another one for method online_dpo."
        )
    if dialogues.mode != "completions":
        yield (
            f"arms.{arm}.method: online_dpo draws completions of prompts; write dialogues.mode: "
            "completions, or method: dpo."
        )
    if dialogues.sampling.temperature == 0:
        yield (
            "dialogues.sampling.temperature: found 0, with which both completions of a prompt are the "
            f"same; write a number above 0 for online_dpo of arms.{arm}."
        )
