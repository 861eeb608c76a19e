"""Evaluations: who answers is defined, and whoever compares can compare."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.settings.evaluated import answering, checkpoint_of, model_of, speakers_of
from wim.settings.evaluations import BASE, REFERENCES

if TYPE_CHECKING:
    from wim.settings.config import Config

# Files of the reports beside the evaluations' own.
TAKEN = (
    *("gate", "judge_tuning", "passed", "study", "heads", "verdict", "prompts", "leaks", "exports"),
    "harness",
)


def problems(config: "Config") -> Iterator[str]:
    """One line for each evaluation that names what is not there, or cannot compare."""
    for name, settings in config.evaluations.items():
        key = f"evaluations.{name}"
        if name in TAKEN:
            yield f"{key}: the workflow itself uses this name; write another one."
        try:
            own = settings.own_prompts(name)
        except UserError as error:
            yield from str(error).splitlines()
        else:
            if own and own.topics:
                yield f"{key}.prompts: write files of prompts; topics are proposed for training."
        yield from _speakers(config, name)
        try:
            answering(config, name)
        except UserError as error:
            yield from str(error).splitlines()
        if settings.by_harness:
            yield from _measured(config, name)
        if settings.judge is not None:
            if settings.judge not in config.judges:
                yield f"{key}.judge: found '{settings.judge}'; {_near(settings.judge, config.judges)}"
            elif settings.kind == "mt_bench" and not config.judges[settings.judge].grades:
                yield (
                    f"{key}.judge: found '{settings.judge}' of the method "
                    f"{config.judges[settings.judge].method}; write a judge of the method mt_bench."
                )
            elif settings.kind == "win_rate" and not config.judges[settings.judge].compares:
                yield (
                    f"{key}.judge: found '{settings.judge}', which rates answers one by one; write "
                    "a judge of the method pairwise, or reward: <name>."
                )
        for reward in [*settings.rewards, *([settings.reward] if settings.reward else [])]:
            if reward not in config.rewards:
                of = "reward" if reward == settings.reward else "rewards"
                yield f"{key}.{of}: found '{reward}'; {_near(reward, config.rewards)}"
        if settings.of_rewards and not config.rewards:
            yield f"{key}: compares rewards, and there are none; write rewards."
        if settings.kind == "mt_bench" and REFERENCES in speakers_of(config, name):
            yield (
                f"{key}.speakers: found '{REFERENCES}', and questions come with no answers to be "
                "judged; write answers: {<name>: <model_answer file>}."
            )
        pairs = settings.kind == "win_rate" or settings.mode == "pairwise"
        if pairs and len(speakers_of(config, name)) < 2:
            yield f"{key}.speakers: found the reference alone; write who is compared with it."


def _speakers(config: "Config", name: str) -> Iterator[str]:
    settings = config.evaluations[name]
    kinds: dict[str, Iterable[str]] = {
        "policies": config.policies,
        "sft": config.sft,
        "arms": config.arms,
        "answers": settings.answers,
        "the workflow's own": (BASE, REFERENCES),
    }
    known = [*(each for names in kinds.values() for each in names), *config.models]
    for speaker in settings.answers:
        if speaker in config.models:
            yield (
                f"evaluations.{name}.answers: '{speaker}' is also the name of a model; write another "
                "name for the file's speaker."
            )
        if speaker not in speakers_of(config, name):
            yield (
                f"evaluations.{name}.answers: '{speaker}' is not among the speakers; add it there, or "
                "leave its file out."
            )
    trained = {
        each: checkpoint[0]
        for each in speakers_of(config, name)
        if (checkpoint := checkpoint_of(config, each))
    }
    if settings.kl and not trained:
        yield f"evaluations.{name}.kl: no checkpoint of an arm is among the speakers; leave it out."
    if settings.kind == "frontier":
        yield from _frontier(config, name, trained)
    for speaker in speakers_of(config, name):
        homes = [kind for kind, names in kinds.items() if speaker in names]
        checkpoint = checkpoint_of(config, speaker)
        if not homes and checkpoint is None and speaker not in config.models:
            yield f"evaluations.{name}: found the speaker {speaker!r}; {_near(speaker, known)}"
        elif len(homes) > 1:
            yield (
                f"evaluations.{name}: the speaker '{speaker}' is defined under {' and '.join(homes)}"
                "; write another name for one of them."
            )
        elif checkpoint and not 1 <= checkpoint[1] <= config.arm_rounds(checkpoint[0]).count:
            yield (
                f"evaluations.{name}: found the speaker '{speaker}', and the arm has "
                f"{config.arm_rounds(checkpoint[0]).count} rounds; write one of them."
            )


def _frontier(config: "Config", name: str, trained: Mapping[str, str]) -> Iterator[str]:
    """A frontier without arms, or whose curves do not begin where its reference is.

    trained: The arms of the speakers that are checkpoints.
    """
    key, reference = f"evaluations.{name}", config.evaluations[name].reference
    if reference in {*trained, *config.evaluations[name].answers, REFERENCES}:
        yield (
            f"{key}.reference: found '{reference}', and a frontier begins at the model that its arms "
            "start from; write its name, or base for the actor."
        )
        return
    discovered = config.discovery is not None and config.discovery.fitness.evaluation == name
    if not trained and not discovered:
        yield f"{key}.speakers: found no arm, and a frontier is of arms; write their names."
    others = sorted(
        {arm for arm in trained.values() if config.start_of(arm) != model_of(config, reference)}
    )
    if others:
        yield (
            f"{key}.reference: found '{reference}', and {', '.join(others)} did not start from it; "
            "write the model that all arms of the frontier start from."
        )


def _measured(config: "Config", name: str) -> Iterator[str]:
    """Those whom the harness cannot measure: it opens a model's files, whole."""
    for speaker in speakers_of(config, name):
        key, model = f"evaluations.{name}: the speaker '{speaker}'", model_of(config, speaker)
        if speaker == REFERENCES:
            yield f"{key} is no model, and the harness measures models; leave it out."
        elif model not in {**config.models, **config.sft}:
            continue
        elif config.source_of(model).engine == "endpoint":
            yield (
                f"{key} is behind an API, and the harness opens models itself; leave it out, or "
                "name a model whose files are here."
            )
        elif config.source_of(model).quantization != "none":
            yield (
                f"{key} is quantised, and the harness opens models whole; define a model of the same "
                "source without quantization."
            )


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{near[0]}'?" if near else f"write one of: {', '.join(names) or 'none'}."
