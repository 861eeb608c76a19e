"""Dialogues of two speakers on a topic, whose turns are candidates to learn from (ExpertChat).

The setting is that of the published dialogue loop (nstranges/expert-chat): two models, each
instructed that it talks to an expert, take turns to answer, explain and ask further questions. Here
every turn of a learning speaker is sampled several times from the same context, so that each turn
gives preference pairs.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from wim.dialogues.candidates import ACTOR, PARTNER, candidate_of
from wim.dialogues.context import placed
from wim.engines.answers import Unanswered
from wim.engines.base import Completion, Engine, Request
from wim.provenance.digest import row_id, seed_of
from wim.settings.dialogues import DialogueSettings, SystemAs
from wim.tables.schemas import Candidate, Message, Prompt
from wim.templates import Templates

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speaker:
    """One of the two: its name (`actor` or `partner`), its model and the model's digest."""

    name: str
    engine: Engine
    model_digest: str


@dataclass
class Dialogue:
    """A conversation so far: `said` has the text of each turn, beginning with the opener's first.

    sample: the number of this conversation where the samples of a turn each had their own.
    """

    prompt: Prompt
    dialogue_id: str
    opener: str
    said: list[str] = field(default_factory=list)
    sample: int | None = None

    @property
    def topic(self) -> str:
        """What the dialogue is about: the prompt's last message of the user."""
        asked = [each["content"] for each in self.prompt.messages if each["role"] == "user"]
        return asked[-1]

    def speaker_of(self, turn: int) -> str:
        """The speaker of a turn, counted from 0; the speakers alternate."""
        other = {ACTOR: PARTNER, PARTNER: ACTOR}
        return self.opener if turn % 2 == 0 else other[self.opener]

    def samples(self, several: int) -> Sequence[int]:
        """The numbers of a turn's samples: several, or this conversation's own one."""
        return range(several) if self.sample is None else [self.sample]

    def seen_by(
        self, speaker: str, templates: Templates, system_as: SystemAs = "system"
    ) -> list[Message]:
        """The conversation as a speaker sees it: its own turns as assistant, the other's as user.

        The templates `actor` and `partner` are the system messages; `opening` is the first user
        message that the opener sees.
        """
        system = templates.render(speaker, topic=self.topic)
        seen: list[Message] = [{"role": "system", "content": system}]
        if speaker == self.opener:
            seen.append({"role": "user", "content": templates.render("opening", topic=self.topic)})
        for turn, text in enumerate(self.said):
            own = self.speaker_of(turn) == speaker
            seen.append({"role": "assistant" if own else "user", "content": text})
        return placed(seen, system_as)


def hold_dialogues(
    topics: Sequence[Prompt],
    speakers: Sequence[Speaker],
    templates: Templates,
    settings: DialogueSettings,
    seed: int,
) -> Iterator[Candidate]:
    """The rows of one dialogue on each topic, with `settings.exchanges` turns of each speaker.

    A turn has `settings.candidates` samples of one context if its speaker learns, else one sample.
    One of them, chosen by seed, continues the dialogue. Where whole conversations are judged, only
    the actor's first turn has several samples; each of these continues in a conversation of its
    own, and only these are judged. All dialogues advance together, so that a turn is one batch.
    The opener is chosen by seed and topic, with equal probability: if it were chosen by order, it
    would change with the order of the topics. A dialogue ends early when a turn is empty or the
    context is full.
    """
    dialogues = [_opened(prompt, seed) for prompt in topics]
    for turn in range(2 * settings.exchanges):
        last = turn + 1 == 2 * settings.exchanges
        goes_on = []
        for speaker in speakers:
            own = [each for each in dialogues if each.speaker_of(turn) == speaker.name]
            for dialogue, candidates in _turn(own, turn, speaker, templates, settings, seed):
                said = [row for row in candidates if row.completion.strip()]
                parts = settings.judged == "conversations" and any(row.judged for row in said)
                if said and not parts:
                    chosen = seed_of(seed, dialogue.dialogue_id, turn, "continues") % len(said)
                    said = [said[chosen]]
                goes_on += _continued(dialogue, said, parts)
                for row in candidates:
                    yield replace(row, continued=row in said and not last)
        if ended := len(dialogues) - len(goes_on):
            logger.info("dialogues: %d ended before turn %d", ended, turn + 1)
        dialogues = goes_on


def _continued(dialogue: Dialogue, rows: Sequence[Candidate], parts: bool) -> list[Dialogue]:
    """The conversations that continue a dialogue: one with each of a turn's rows."""
    return [
        replace(
            dialogue,
            said=[*dialogue.said, row.completion],
            sample=row.sample if parts else dialogue.sample,
        )
        for row in rows
    ]


def _opened(prompt: Prompt, seed: int) -> Dialogue:
    opener = (ACTOR, PARTNER)[seed_of(seed, prompt.prompt_id, "opens") % 2]
    return Dialogue(prompt, row_id([prompt.prompt_id, "expert_chat"]), opener)


def _turn(
    dialogues: Sequence[Dialogue],
    turn: int,
    speaker: Speaker,
    templates: Templates,
    settings: DialogueSettings,
    seed: int,
) -> Iterator[tuple[Dialogue, list[Candidate]]]:
    """Each dialogue with its candidates of this turn, in the samples' order."""
    learns = settings.learn in (speaker.name, "both")
    sampling = settings.sampling_of(speaker.name)
    requests: dict[tuple[str, int], Request] = {}
    for dialogue in dialogues:
        context = tuple(dialogue.seen_by(speaker.name, templates, settings.system_as))
        about = f"prompt {dialogue.prompt.prompt_id} of {dialogue.prompt.source}, turn {turn + 1}"
        for sample in dialogue.samples(settings.candidates if learns else 1):
            row_seed = seed_of(seed, dialogue.dialogue_id, turn, sample)
            decided_by = {
                "model": speaker.model_digest,
                "context": context,
                "sampling": sampling.model_dump(mode="json"),
                "seed": row_seed,
                "sample": sample,
            }
            requests[dialogue.dialogue_id, sample] = Request(
                row_id(decided_by), context, row_seed, about=about
            )
    answers = {
        answer.key: answer for answer in speaker.engine.generate(list(requests.values()), sampling)
    }
    for dialogue in dialogues:
        samples = dialogue.samples(settings.candidates if learns else 1)
        asked = [(sample, requests[dialogue.dialogue_id, sample]) for sample in samples]
        judged = learns and dialogue.sample is None
        rows = [
            _candidate(dialogue, turn, speaker, sample, request, answers[request.key], judged)
            for sample, request in asked
            if answers[request.key].finish_reason != "context"
            and not isinstance(answers[request.key], Unanswered)
        ]
        yield dialogue, rows


def _candidate(
    dialogue: Dialogue,
    turn: int,
    speaker: Speaker,
    sample: int,
    request: Request,
    answer: Completion,
    learns: bool,
) -> Candidate:
    return candidate_of(
        answer,
        prompt_id=dialogue.prompt.prompt_id,
        dialogue_id=dialogue.dialogue_id,
        turn=turn + 1,
        speaker=speaker.name,
        sample=sample,
        context=request.messages,
        seed=request.seed,
        model_digest=speaker.model_digest,
        judged=learns,
    )
