"""Rewards: a judge that gives what the reward is made of, and panels of comparable members."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wim.settings.config import Config

# The unit of a kind's rewards; all others are on the scale of a cosine.
UNITS = {
    "published": "published points",
    "nothing_missing": "nats",
    "reward_model": "log-odds",
    "length": "tokens",
    "brevity": "tokens",
}
SCALE = "points of -1 to 1"
# The judge's method that a kind needs, and why.
NEEDS = {
    "published": ("upstream", "prompts and parses as published"),
    "nothing_missing": ("structured", "records that log-probability"),
    "reward_model": ("reward_model", "gives that number"),
}
# Kinds for which a judge without text and without a scale is enough.
OF_NUMBER_ALONE = ("reward_model", "length", "brevity", "random")


def problems(config: "Config") -> Iterator[str]:
    """One line for each reward that its judge, or its members, cannot make."""
    yield from _judges(config)
    yield from _panels(config)


def _judges(config: "Config") -> Iterator[str]:
    """Rewards whose judge cannot give what their kind is made of."""
    for name, reward in config.rewards.items():
        judge = config.judges.get(reward.judge or "")
        method, why = NEEDS.get(reward.kind, (None, ""))
        if judge and method not in (None, judge.method):
            yield (
                f"rewards.{name}.kind: found '{reward.kind}', which needs a judge of the method "
                f"{method}, as that {why}; judges.{reward.judge}.method is {judge.method}."
            )
        elif judge and judge.method == "reward_model" and reward.kind not in OF_NUMBER_ALONE:
            yield (
                f"rewards.{name}.kind: found '{reward.kind}', which needs a judge's text and "
                f"scale, and judges.{reward.judge} is a reward model, which gives only a number; "
                "write kind: reward_model."
            )


def _panels(config: "Config") -> Iterator[str]:
    """Panels of panels, and panels whose members have several units."""
    rewards = config.rewards
    for name, panel in rewards.items():
        members = [member for member in panel.of if member in rewards]
        if nested := [member for member in members if rewards[member].kind == "panel"]:
            yield (
                f"rewards.{name}.of: found '{nested[0]}', itself a panel; write its "
                "members instead."
            )
        units = {member: UNITS.get(rewards[member].kind, SCALE) for member in members}
        if len(set(units.values())) > 1:
            found = ", ".join(f"{member} in {unit}" for member, unit in units.items())
            yield (
                f"rewards.{name}.of: found {found}; a mean over several units says nothing: write "
                "members of one."
            )
