"""Names: those that sections use of each other are defined, and none is the workflow's own."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wim.settings.section import Section

if TYPE_CHECKING:
    from wim.settings.config import Config

CHECKPOINT = re.compile(r".+-round\d+")
# Policies that the workflow itself names: the actor, labelled pairs, and arms' checkpoints.
TAKEN = re.compile(r"base|labelled|labelled_pairs|retest|references|.+-round\d+")


def problems(config: "Config") -> Iterator[str]:
    """One line for each name that is used and not defined, or defined and the workflow's own."""
    yield from _undefined(config)
    for name in config.arms:
        if CHECKPOINT.fullmatch(name):
            yield (
                f"arms.{name}: found a name that ends like those of checkpoints, in -round and a "
                "number; write another one."
            )
    for name in config.policies:
        if TAKEN.fullmatch(name):
            yield (
                f"policies.{name}: the workflow itself uses this name (base is the actor, labelled, "
                "labelled_pairs and retest the gate's pairs, references the prompts' own answers, "
                "<arm>-round<number> a checkpoint); write another one."
            )


def _undefined(config: "Config") -> list[str]:
    uses: list[tuple[str, str, str, Mapping[str, Section]]] = []
    writers = {**config.models, **config.sft}
    uses += [("dialogues.actor", config.dialogues.actor, "models", writers)]
    if config.dialogues.partner:
        uses += [("dialogues.partner", config.dialogues.partner, "models", writers)]
    if config.prompts.topics:
        proposers = config.prompts.topics.models
        uses += [("prompts.topics.models", name, "models", config.models) for name in proposers]
    uses += [("embeddings.encoder", config.embeddings.encoder, "models", config.models)]
    for name, policy in config.policies.items():
        uses.append((f"policies.{name}.model", policy.model, "models", writers))
    for name, judge in config.judges.items():
        of_method = config.reward_models if judge.method == "reward_model" else config.sft
        known = {**config.models, **of_method}
        uses.append((f"judges.{name}.model", judge.model, "models", known))
    for name, reward in config.rewards.items():
        if reward.judge:
            uses.append((f"rewards.{name}.judge", reward.judge, "judges", config.judges))
        uses += [(f"rewards.{name}.of", each, "rewards", config.rewards) for each in reward.of]
    speakers: dict[str, Section] = {"base": config.dialogues, **config.policies}
    for name, comparison in config.comparisons.items():
        uses.append((f"comparisons.{name}.judge", comparison.judge, "judges", config.judges))
        uses += [
            (f"comparisons.{name}.between", each, "policies", speakers)
            for each in comparison.between
        ]
    for name, arm in config.arms.items():
        if arm.reward:
            uses.append((f"arms.{name}.reward", arm.reward, "rewards", config.rewards))
        if arm.comparison:
            place = f"arms.{name}.comparison"
            uses.append((place, arm.comparison, "comparisons", config.comparisons))
        if arm.start:
            uses.append((f"arms.{name}.start", arm.start, "models", writers))
    if config.discovery:
        uses.append(("discovery.arm", config.discovery.arm, "arms", config.arms))
        if model := config.discovery.proposer.model:
            uses.append(("discovery.proposer.model", model, "models", writers))
        if evaluation := config.discovery.fitness.evaluation:
            key = "discovery.fitness.evaluation"
            uses.append((key, evaluation, "evaluations", config.evaluations))
    speakers = {"base": config.dialogues, "references": config.dialogues, **config.policies}
    for name, sft in config.sft.items():
        uses.append((f"sft.{name}.completions", sft.completions, "policies", speakers))
        if sft.model:
            uses.append((f"sft.{name}.model", sft.model, "models", config.models))
    for name, reward_model in config.reward_models.items():
        uses.append((f"reward_models.{name}.arm", reward_model.arm, "arms", config.arms))
        if reward_model.model:
            uses.append((f"reward_models.{name}.model", reward_model.model, "models", writers))
    return [
        _unknown_name(key, name, kind, defined, key.split(".")[0] in config.model_fields_set)
        for key, name, kind, defined in uses
        if name not in defined
    ]


def _unknown_name(
    key: str, name: str, kind: str, defined: Mapping[str, object], written: bool
) -> str:
    near = difflib.get_close_matches(name, defined, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"write one of: {', '.join(defined)}."
    if not defined:
        hint = f"{kind} is empty; define it there."
    if not written:
        hint = f"this is a default; write {key.split('.')[0]} of your own."
    return f"{key}: found '{name}', which is not defined under {kind}; {hint}"
