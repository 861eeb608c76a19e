"""Answers to questions of several turns: each turn is asked after the speaker's own answers."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wim.dialogues.candidates import ACTOR, candidate_of
from wim.dialogues.context import conversation
from wim.engines.answers import Unanswered
from wim.engines.base import Completion, Engine, Request
from wim.errors import UserError
from wim.progress import progress
from wim.prompts.questions import Question, question_of
from wim.provenance.digest import row_id, seed_of
from wim.settings.dialogues import DialogueSettings
from wim.settings.sampling import Sampling
from wim.tables.schemas import Candidate, Message, Prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A question as far as it is answered: `context` ends with the turn that is asked now."""

    prompt: Prompt
    question: Question
    context: tuple[Message, ...]
    turn: int

    @property
    def last(self) -> bool:
        """Whether it is asked its last turn."""
        return self.turn == len(self.question.turns)

    def after(self, answer: str) -> "Asked":
        """The next turn, after an answer to this one."""
        said: tuple[Message, ...] = (
            {"role": "assistant", "content": answer},
            {"role": "user", "content": self.question.turns[self.turn]},
        )
        return replace(self, context=(*self.context, *said), turn=self.turn + 1)


def answer_questions(
    prompts: Sequence[Prompt],
    engine: Engine,
    settings: DialogueSettings,
    seed: int,
    model_digest: str,
    temperatures: Mapping[str, float],
) -> Iterator[Candidate]:
    """One answer to each turn of each question, turn by turn, in order of finishing.

    A turn without an answer, because a server has none, the model never came to one, or its context
    is full, ends its question: there is no row of that turn or of the later ones, save for what the
    model thought.

    Args:
        prompts: Those that carry the questions.
        engine: The speaker's.
        settings: How it answers, but for the temperature of some categories.
        seed: The run's.
        model_digest: Its model.
        temperatures: By category.

    Raises:
        UserError: No question at all leaves room in the model's context.
    """
    asked = [
        Asked(
            prompt,
            question_of(prompt),
            tuple(conversation(prompt.messages, settings.system, settings.system_as)),
            turn=1,
        )
        for prompt in prompts
    ]
    full = answered = 0
    while asked:
        further = []
        for sampling, group in _by_sampling(asked, settings.sampling, temperatures):
            for one, request, answer in _answers(group, engine, sampling, seed, model_digest):
                if answer.finish_reason == "context":
                    full += 1
                if answer.finish_reason == "context" or isinstance(answer, Unanswered):
                    continue
                answered += 1
                row = _candidate(one, request, answer, model_digest)
                if row.judged and not one.last:
                    further.append(one.after(row.completion))
                yield replace(row, continued=row.judged and not one.last)
        asked = further
    if full and not answered:
        raise UserError(
            "questions: none leaves room for an answer in the model's context; lower "
            "sampling.max_new_tokens."
        )
    if full:
        logger.warning("questions: %d turns leave no room in the model's context", full)


def _by_sampling(
    asked: Sequence[Asked], sampling: Sampling, temperatures: Mapping[str, float]
) -> Iterator[tuple[Sampling, list[Asked]]]:
    """What is sampled alike, group by group."""
    groups: dict[float, list[Asked]] = {}
    for one in asked:
        temperature = temperatures.get(one.question.category, sampling.temperature)
        groups.setdefault(temperature, []).append(one)
    for temperature in sorted(groups):
        own = sampling.model_copy(update={"temperature": temperature})
        yield own, groups[temperature]


def _answers(
    asked: Sequence[Asked], engine: Engine, sampling: Sampling, seed: int, model_digest: str
) -> Iterator[tuple[Asked, Request, Completion]]:
    pending: dict[str, tuple[Asked, Request]] = {}
    for one in asked:
        row_seed = seed_of(seed, one.prompt.prompt_id, "turn", one.turn)
        key = row_id(
            {
                "model": model_digest,
                "context": one.context,
                "sampling": sampling.model_dump(mode="json"),
                "seed": row_seed,
                "sample": 0,
            }
        )
        about = f"question {one.question.question_id} of {one.prompt.source}, turn {one.turn}"
        pending[key] = one, Request(key, one.context, row_seed, about=about)
    requests = [request for _, request in pending.values()]
    answers = engine.generate(requests, sampling)
    for answer in progress(answers, len(requests), "dialogues", "row"):
        yield *pending[answer.key], answer


def _candidate(one: Asked, request: Request, answer: Completion, model_digest: str) -> Candidate:
    return candidate_of(
        answer,
        prompt_id=one.prompt.prompt_id,
        dialogue_id=row_id([one.prompt.prompt_id, "questions"]),
        turn=one.turn,
        speaker=ACTOR,
        sample=0,
        context=request.messages,
        seed=request.seed,
        model_digest=model_digest,
    )
