"""Online DPO: what it needs of an arm's training, its reward, and the dialogues."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wim.settings.training import LOSS_OPTIONS

if TYPE_CHECKING:
    from wim.settings.config import Config

# The losses that TRL's online trainer has.
ONLINE_LOSSES = ("sigmoid", "ipo")
# Rewards of a candidate that need other candidates or rewards, which do not exist yet online.
TOGETHER = ("shuffled_wim", "panel")


def problems(config: "Config") -> Iterator[str]:
    """One line for each setting with which an arm cannot train online."""
    for name, arm in config.arms.items():
        if arm.method == "online_dpo":
            yield from _of_arm(config, name)


def _of_arm(config: "Config", arm: str) -> Iterator[str]:
    if config.parallel == "fsdp":
        yield (
            f"arms.{arm}.method: online_dpo samples from the whole model, which "
            "parallel: fsdp splits over the GPUs; write parallel: ddp."
        )
    training = config.arm_training(arm)
    if training.loss not in ONLINE_LOSSES:
        yield (
            f"arms.{arm}.training.loss: found {training.loss_label}; write one of "
            f"{', '.join(ONLINE_LOSSES)} for method online_dpo."
        )
    for option, off in LOSS_OPTIONS.items():
        if getattr(training, option) != off:
            yield f"arms.{arm}.training.{option}: online_dpo ignores it; leave it out."
    reward = config.rewards.get(config.arms[arm].reward or "")
    if reward is None:
        yield f"arms.{arm}.comparison: online_dpo needs a reward; write reward: <name>."
    elif reward.kind in TOGETHER:
        yield (
            f"arms.{arm}.reward: found a reward of the kind {reward.kind}, which cannot be "
            "computed for a completion as it is sampled; write another one for method online_dpo."
        )
    elif reward.reads_critique or config.sampled(config.arms[arm].reward or "") > 1:
        yield (
            f"arms.{arm}.reward: found '{config.arms[arm].reward}', which reads the critique's "
            "words or several judgements, and online_dpo computes neither; write another reward, or "
            "method: dpo."
        )
    elif reward.judge in config.judges and config.judges[reward.judge].aspects:
        yield (
            f"arms.{arm}.reward: found '{config.arms[arm].reward}', whose judge rates several "
            "aspects, and online_dpo asks for none; write another reward, or method: dpo."
        )
    elif any(config.judges[name].label for name in config.judges_of(config.arms[arm].reward or "")):
        yield (
            f"arms.{arm}.reward: found '{config.arms[arm].reward}', which is of a classifier's label, "
            "and online_dpo computes none; write another reward, or method: dpo."
        )
    judge = config.judges.get(reward.judge or "") if reward else None
    model = config.models.get(config.origin_of(judge.model)) if judge else None
    if model and model.api and model.api.batch:
        yield (
            f"arms.{arm}.reward: found '{config.arms[arm].reward}', whose judge is queried in "
            "batches (api.batch), and each step of online_dpo would wait for one; write a judge "
            "of another model, or method: dpo."
        )
    if config.dialogues.mode != "completions":
        yield (
            f"arms.{arm}.method: online_dpo samples completions of prompts; write dialogues.mode: "
            "completions, or method: dpo."
        )
    if config.dialogues.sampling.temperature == 0:
        yield (
            "dialogues.sampling.temperature: found 0, with which both completions of a prompt are "
            f"the same; write a number above 0 for online_dpo of arms.{arm}."
        )
