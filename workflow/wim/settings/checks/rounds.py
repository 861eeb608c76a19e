"""Rounds of an arm: their judge, their share of the prompts, and when they stop."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wim.errors import UserError

if TYPE_CHECKING:
    from wim.settings.config import Config


def problems(config: "Config") -> Iterator[str]:
    """One line for each setting of an arm's rounds that does not fit the others."""
    for name in config.arms:
        yield from _of_arm(config, name)
        for number in config.arms[name].by_round:
            try:
                config.arm_pairs(name, number)
                config.arm_training(name, number)
            except UserError as error:
                yield str(error)


def _of_arm(config: "Config", name: str) -> Iterator[str]:
    key, arm, rounds = f"arms.{name}", config.arms[name], config.arm_rounds(name)
    own_pairs = arm.comparison or arm.method == "online_dpo"
    if own_pairs and (rounds.count > 1 or rounds.prompts == "fresh"):
        yield (
            f"{key}.rounds: an arm that a comparison labels, or that trains online, has one round, "
            "of all prompts; write rounds: {count: 1, prompts: same} for it."
        )
    judges = [config.judges[judge] for judge in config.judges_of(arm.reward or "")]
    if rounds.judge == "self" and arm.reward and not judges:
        yield (
            f"{key}.rounds.judge: found self, and its reward '{arm.reward}' reads no judge; write "
            "initial."
        )
    if rounds.judge == "self" and any(judge.method == "reward_model" for judge in judges):
        yield (
            f"{key}.rounds.judge: found self, and its judge is a reward model, which no "
            "checkpoint can replace; write initial."
        )
    if rounds.slices is not None and rounds.prompts == "same":
        yield f"{key}.rounds.slices: it has an effect only with prompts: fresh; leave it out."
    elif (rounds.slices_of_prompts or rounds.count) < rounds.count:
        yield (
            f"{key}.rounds.slices: found {rounds.slices} for {rounds.count} rounds, each of which "
            f"needs one; write at least {rounds.count}."
        )
    stop = rounds.stop
    if stop and stop.metric == "held_out_accuracy" and not config.prompts.eval_fraction:
        yield (
            f"{key}.rounds.stop.metric: found held_out_accuracy, and prompts.eval_fraction is 0, "
            "so that no pair is held out; write pair_margin, or hold prompts out."
        )
    for number in sorted(arm.by_round):
        if not 1 <= number <= rounds.count:
            yield (
                f"{key}.by_round.{number}: there is no such round; rounds are counted from 1, and "
                f"the arm has {rounds.count}."
            )
