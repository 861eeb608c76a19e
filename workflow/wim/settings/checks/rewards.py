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
    "lack_share": "shares of sentences",
    "critique_head": "fitted standard deviations",
    "length": "tokens",
    "brevity": "tokens",
}
SCALE = "points of -1 to 1"
# The gate's labelled pairs, as heads learn from them.
LABELLED = "labelled"
# The judge's method that a kind needs, and why.
NEEDS = {
    "published": ("upstream", "prompts and parses as published"),
    "nothing_missing": ("structured", "records that log-probability"),
    "reward_model": ("reward_model", "gives that number"),
}
# Kinds that are made of numbers or words by aspect.
OF_ASPECTS = ("mixture", "negated", "lack_share", "length", "brevity", "random")
# Kinds for which a judge without text and without a scale is enough.
OF_NUMBER_ALONE = ("reward_model", "length", "brevity", "random")


def problems(config: "Config") -> Iterator[str]:
    """One line for each reward that its judge, or its members, cannot make."""
    yield from _judges(config)
    yield from _panels(config)
    yield from _samples(config)
    yield from _heads(config)
    yield from _aspects(config)


def _aspects(config: "Config") -> Iterator[str]:
    """Rewards that name aspects of a judge that has none, or make of aspects what they are not."""
    for name, reward in config.rewards.items():
        judge = config.judges.get(reward.judge or "")
        if judge is None:
            continue
        key, of = f"rewards.{name}", f"judges.{reward.judge}"
        if not judge.aspects:
            for setting in ("aspect", "least_aspects"):
                if getattr(reward, setting) is not None:
                    yield (
                        f"{key}.{setting}: found {getattr(reward, setting)}, and {of} has no "
                        "aspects; leave the line out, or write the judge's aspects."
                    )
            continue
        written = ", ".join(judge.questions)
        if reward.aspect is not None and reward.aspect not in judge.questions:
            yield f"{key}.aspect: found '{reward.aspect}'; {of}.aspects are {written}."
        if (reward.least_aspects or 0) > len(judge.questions):
            yield (
                f"{key}.least_aspects: found {reward.least_aspects}, and {of} has "
                f"{len(judge.questions)} aspects; write at most that."
            )
        if reward.kind not in OF_ASPECTS:
            yield (
                f"{key}.kind: found '{reward.kind}', and {of} rates several aspects, of which it "
                f"cannot be made; write one of {', '.join(OF_ASPECTS)}, or a judge without aspects."
            )
        elif reward.zeta:
            yield (
                f"{key}.zeta: found {reward.zeta:g}, and the words of {of} are on several aspects, "
                "which have no cosine; write zeta: 0, or a judge without aspects."
            )
        if reward.ties == "critique_head" or (reward.ties != "none" and reward.aspect is None):
            yield (
                f"{key}.ties: found {reward.ties}, and {of} rates several aspects; write "
                "ties: lack_share with aspect: <name>, or leave the line out."
            )


def _samples(config: "Config") -> Iterator[str]:
    """Rewards that combine samples of a judge that has one, or want more than it has."""
    for name, reward in config.rewards.items():
        judge = config.judges.get(reward.judge or "")
        if judge is None:
            continue
        if judge.samples == 1 and (reward.by, reward.at_least) != ("mean", 1):
            yield (
                f"rewards.{name}: by and at_least are of panels and of judges with samples, and "
                f"judges.{reward.judge} judges once; leave them out, or write "
                f"judges.{reward.judge}.samples: 2."
            )
        elif reward.at_least > judge.samples:
            yield (
                f"rewards.{name}.at_least: found {reward.at_least}, and judges.{reward.judge}.samples "
                f"is {judge.samples}; write at most that."
            )


def _heads(config: "Config") -> Iterator[str]:
    """Heads that learn from what is not there, or from their own judge's numbers."""
    for name, reward in config.rewards.items():
        key = f"rewards.{name}.learns_from"
        for source in reward.learns_from:
            recorded, judge = source in config.study.recorded, config.judges.get(source)
            if recorded and judge is not None:
                yield (
                    f"{key}: found '{source}', which is a name under both study.recorded and "
                    "judges; rename one of them."
                )
            elif source == LABELLED:
                if recorded or judge is not None:
                    kind = "study.recorded" if recorded else "judges"
                    yield (
                        f"{key}: found '{LABELLED}', which means the gate's labelled pairs, and is "
                        f"a name under {kind} too; rename that."
                    )
                elif not config.gate.pairs:
                    yield (
                        f"{key}: found '{LABELLED}', and there are no labelled pairs; write "
                        "gate.pairs: <file of labelled pairs>, or other names."
                    )
            elif source == reward.judge:
                yield (
                    f"{key}: found '{source}', the reward's own judge, whose number is a reward by "
                    "itself; write another judge."
                )
            elif judge is not None and not judge.rates:
                yield (
                    f"{key}: found '{source}', a judge of the method {judge.method}, which gives "
                    "responses no number; write another judge."
                )
            elif judge is not None and judge.aspects:
                yield (
                    f"{key}: found '{source}', a judge whose numbers are of several aspects; write "
                    "a judge without aspects."
                )
            elif not recorded and judge is None:
                yield (
                    f"{key}: found '{source}', which is not defined under study.recorded or judges; "
                    f"write one of: {', '.join([*config.study.recorded, LABELLED, *config.judges])}."
                )


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
