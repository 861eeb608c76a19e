"""Policies that answer the prompts of an evaluation: `<evaluation>@<speaker>`.

The stages treat them like any other policy, so that answers, ratings, comparisons and rewards of an
evaluation are made by the same rules, and through the same row store.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from wim.settings.arms import Arm
from wim.settings.dialogues import DialogueSettings
from wim.settings.evaluations import BASE, REFERENCES, EvaluationSettings
from wim.settings.models import ModelSource
from wim.settings.policies import PolicySettings
from wim.settings.questions import TEMPERATURES
from wim.settings.reading import overlaid
from wim.settings.rounds import RoundSettings
from wim.settings.sft import SftSettings

SEPARATOR = "@"
CHECKPOINT = re.compile(r"(?P<arm>.+)-round(?P<round>\d+)")


def evaluated_policy(evaluation: str, speaker: str) -> str:
    """The policy of a speaker's answers in an evaluation."""
    return f"{evaluation}{SEPARATOR}{speaker}"


class Speakers(Protocol):
    """What is asked of a configuration here: who there is, and what trained models come from."""

    @property
    def evaluations(self) -> dict[str, EvaluationSettings]: ...
    @property
    def models(self) -> Mapping[str, ModelSource]: ...
    @property
    def policies(self) -> dict[str, PolicySettings]: ...
    @property
    def sft(self) -> dict[str, SftSettings]: ...
    @property
    def arms(self) -> dict[str, Arm]: ...
    @property
    def dialogues(self) -> DialogueSettings: ...
    def arm_rounds(self, arm: str, /) -> RoundSettings: ...
    def start_of(self, arm: str, /) -> str: ...


@dataclass(frozen=True)
class Evaluated:
    """A speaker in an evaluation."""

    evaluation: str
    speaker: str

    @property
    def policy(self) -> str:
        """The policy of its answers."""
        return evaluated_policy(self.evaluation, self.speaker)

    @classmethod
    def of(cls, policy: str) -> "Evaluated | None":
        """The speaker that a policy is; None for a policy of no evaluation."""
        evaluation, separator, speaker = policy.partition(SEPARATOR)
        return cls(evaluation, speaker) if separator else None


def speakers_of(config: Speakers, evaluation: str) -> list[str]:
    """All who answer in an evaluation, each once, the reference first."""
    settings = config.evaluations[evaluation]
    named = settings.speakers or [BASE, *config.arms]
    return list(dict.fromkeys([settings.reference, *named]))


def answering_speakers(config: Speakers) -> list[Evaluated]:
    """Everyone who answers prompts in an evaluation."""
    return _speakers(config, by_harness=False)


def measured_by_harness(config: Speakers) -> list[Evaluated]:
    """Everyone who is measured by the harness in an evaluation."""
    return _speakers(config, by_harness=True)


def _speakers(config: Speakers, by_harness: bool) -> list[Evaluated]:
    return [
        Evaluated(name, speaker)
        for name, settings in config.evaluations.items()
        if settings.by_harness is by_harness
        for speaker in speakers_of(config, name)
    ]


def is_written(config: Speakers, evaluated: Evaluated) -> bool:
    """Whether a speaker's answers are in a file, and none are generated."""
    answers = config.evaluations[evaluated.evaluation].answers
    return evaluated.speaker in answers or evaluated.speaker == REFERENCES


def checkpoint_of(config: Speakers, speaker: str) -> tuple[str, int] | None:
    """The arm and the round of a speaker that is a checkpoint; by the arm alone its last round."""
    if speaker in config.arms:
        return speaker, config.arm_rounds(speaker).count
    found = CHECKPOINT.fullmatch(speaker)
    return (found["arm"], int(found["round"])) if found and found["arm"] in config.arms else None


def model_of(config: Speakers, speaker: str) -> str:
    """The model that answers, or that the answering checkpoint was trained from."""
    if checkpoint := checkpoint_of(config, speaker):
        return config.start_of(checkpoint[0])
    if speaker in config.policies:
        return config.policies[speaker].model
    known = speaker in config.sft or speaker in config.models
    return speaker if known else config.dialogues.actor


def temperatures_of(config: Speakers, policy: str) -> dict[str, float] | None:
    """The temperatures by category of a policy that answers questions of several turns; else None."""
    evaluated = Evaluated.of(policy)
    settings = config.evaluations[evaluated.evaluation] if evaluated else None
    if settings is None or settings.kind != "mt_bench":
        return None
    return TEMPERATURES if settings.temperatures is None else settings.temperatures


def dialogues_of(config: Speakers, evaluated: Evaluated) -> DialogueSettings:
    """How a speaker answers in an evaluation: once, sampled as in the run's own dialogues."""
    found = answering(config, evaluated.evaluation)
    return found.model_copy(update={"actor": model_of(config, evaluated.speaker)})


def answering(config: Speakers, evaluation: str) -> DialogueSettings:
    """How all speakers answer in an evaluation, with the run's own actor in their place.

    Raises UserError if `sampling` has a key or value that does not fit.
    """
    settings = config.evaluations[evaluation]
    common = config.dialogues
    alone = DialogueSettings(
        actor=common.actor,
        candidates=1,
        system=common.system if settings.system is None else settings.system,
        sampling=common.sampling,
    )
    return overlaid(alone, {"sampling": settings.sampling}, f"evaluations.{evaluation}")
