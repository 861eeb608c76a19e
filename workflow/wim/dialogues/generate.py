"""Candidate completions: what the actor answers to each prompt, several times."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from wim.dialogues.candidates import ACTOR, PARTNER, candidate_of
from wim.dialogues.context import conversation
from wim.dialogues.expert_chat import Speaker, hold_dialogues
from wim.dialogues.questions import answer_questions
from wim.engines.answers import Unanswered
from wim.engines.base import Completion, Engine, Request
from wim.engines.failures import check_answers
from wim.engines.staged import StagedModel, unopened
from wim.errors import UserError
from wim.progress import progress
from wim.prompts.questions import question_of
from wim.provenance.digest import row_id, seed_of
from wim.settings.dialogues import DialogueSettings
from wim.tables.schemas import Candidate, Prompt
from wim.templates import Templates, read_templates

logger = logging.getLogger(__name__)


def generate_candidates(
    prompts: Sequence[Prompt],
    engine: Engine,
    settings: DialogueSettings,
    seed: int,
    model_digest: str,
) -> Iterator[Candidate]:
    """`settings.candidates` completions of each prompt, in order of finishing.

    A prompt is a dialogue of one turn; its candidates share the context exactly. A request that a
    server does not answer, or that the model's chat template refuses, gives no candidate.

    Raises:
        UserError: A prompt leaves no room in a local model's context.
    """
    pending = {}
    for prompt in prompts:
        context = conversation(prompt.messages, settings.system, settings.system_as)
        about = f"prompt {prompt.prompt_id} of {prompt.source}"
        for sample in range(settings.candidates):
            row_seed = seed_of(seed, prompt.prompt_id, sample)
            key = row_id(
                {
                    "model": model_digest,
                    "context": context,
                    "sampling": settings.sampling.model_dump(mode="json"),
                    "seed": row_seed,
                    "sample": sample,
                }
            )
            request = Request(key, tuple(context), row_seed, about=about)
            pending[key] = prompt, sample, request
    requests = [request for _, _, request in pending.values()]
    answers = engine.generate(requests, settings.sampling)
    for answer in progress(answers, len(requests), "dialogues", "row"):
        prompt, sample, request = pending[answer.key]
        if isinstance(answer, Unanswered):
            logger.debug(
                "prompt %s, sample %d: no completion: %s", prompt.prompt_id, sample, answer.reason
            )
            continue
        yield _candidate(prompt, sample, request, answer, model_digest)


def _candidate(
    prompt: Prompt, sample: int, request: Request, answer: Completion, model_digest: str
) -> Candidate:
    if answer.finish_reason == "context":
        raise UserError(
            f"prompt {prompt.prompt_id} of {prompt.source} has {answer.prompt_tokens} tokens, "
            "which leaves no room for a completion in the model's context; lower "
            "prompts.max_chars or dialogues.sampling.max_new_tokens."
        )
    return candidate_of(
        answer,
        prompt_id=prompt.prompt_id,
        dialogue_id=row_id([prompt.prompt_id, "completions"]),
        turn=1,
        speaker=ACTOR,
        sample=sample,
        context=request.messages,
        seed=request.seed,
        model_digest=model_digest,
    )


def draw_dialogues(
    prompts: Sequence[Prompt],
    engines: Sequence[Engine],
    model_digests: Sequence[str],
    templates: Templates | None,
    settings: DialogueSettings,
    seed: int,
    temperatures: Mapping[str, float] | None = None,
) -> Iterator[Candidate]:
    """The rows of a shard: completions of each prompt, with templates dialogues of two, or with
    temperatures answers to every turn of questions.

    Args:
        prompts: The prompts of the shard.
        engines: The actor's, and for dialogues of two the partner's.
        model_digests: Those of their models.
        templates: Those of the two speakers; None for completions.
        settings: The settings of the policy's dialogues.
        seed: The run's.
        temperatures: By the category of questions; None for prompts of one turn.
    """
    if temperatures is not None:
        model = engines[0], settings, seed, model_digests[0]
        yield from answer_questions(prompts, *model, temperatures)
        return
    if templates is None:
        yield from generate_candidates(prompts, engines[0], settings, seed, model_digests[0])
        return
    named = zip((ACTOR, PARTNER), engines, model_digests, strict=True)
    speakers = [Speaker(*each) for each in named]
    yield from hold_dialogues(prompts, speakers, templates, settings, seed)


def generate_dialogues(
    prompts: Path,
    models: Sequence[StagedModel],
    templates: list[Path],
    settings: DialogueSettings,
    seed: int,
    output: Path,
    temperatures: Mapping[str, float] | None = None,
) -> None:
    """Write the dialogues table of one shard of prompts.

    Completions that the store has are not sampled again; no model is loaded if none is missing.

    Args:
        prompts: The prompts table of the shard.
        models: The actor, and for dialogues of two then the partner.
        templates: Those of a dialogue of two; none for completions.
        settings: The settings of the policy's dialogues.
        seed: The run's.
        output: The table.
        temperatures: By the category of questions of several turns; None for other prompts.

    Raises:
        UserError: None of the requests was answered, or all were cut while the model thought.
    """
    from wim.engines.stored import open_engines
    from wim.tables.files import as_arrow, write_table
    from wim.tables.schemas import CUT, DIALOGUES

    rows, digests = _prompts(prompts), [model.identity for model in models]
    with ExitStack() as opened:
        engines = open_engines(opened, models)
        texts = read_templates(templates) if templates else None
        candidates = list(
            draw_dialogues(rows, engines, digests, texts, settings, seed, temperatures)
        )
    reasons = [why for engine in dict.fromkeys(engines) for why in engine.unanswered.values()]
    # A dialogue of two ends early where a turn has no answer, so what else is missing is not known.
    check_answers("completions", len(candidates) + len(reasons), reasons)
    _check_thinking(candidates)
    computed = {key for engine in engines for key in engine.computed}
    new = [row for row in candidates if row.candidate_id in computed]
    logger.info(
        "dialogues: %d rows, %d from the store, %d generated (%d tokens); %d cut at max_new_tokens",
        len(candidates),
        len(candidates) - len(new),
        len(new),
        sum(row.completion_tokens for row in new),
        sum(row.finish_reason == CUT for row in candidates),
    )
    write_table(output, DIALOGUES, as_arrow(DIALOGUES, candidates), failed=len(reasons))


def _check_thinking(candidates: Sequence[Candidate]) -> None:
    """Warn of completions that never came to an answer. Raises UserError if none did."""
    thinking = sum(row.never_answered for row in candidates)
    if not thinking:
        return
    problem = (
        f"completions: {thinking} of {len(candidates)} were cut while the model was still thinking, "
        "and are not judged; give it room in `models.<name>.thinking`, or write `off`."
    )
    if thinking == len(candidates):
        raise UserError(problem)
    logger.warning("%s", problem)


def rows_wanted(
    prompts: Path,
    models: Sequence[StagedModel],
    templates: list[Path],
    settings: DialogueSettings,
    seed: int,
    temperatures: Mapping[str, float] | None = None,
) -> tuple[int, int]:
    """The number of rows that generate_dialogues would write, and of those that the store lacks.

    No model is opened.

    Args:
        prompts, models, templates, settings, seed, temperatures: As in generate_dialogues.
    """
    from wim.engines.stored import open_engines

    rows, digests = _prompts(prompts), [model.identity for model in models]
    wanted, known = len(rows) * settings.rows_per_prompt, 0
    if temperatures is not None:
        wanted = sum(len(question_of(row).turns) for row in rows)
    with ExitStack() as opened:
        engines = open_engines(opened, unopened(models))
        texts = read_templates(templates) if templates else None
        # What is known comes first; the first row without an answer ends it.
        with suppress(UserError):
            for _ in draw_dialogues(rows, engines, digests, texts, settings, seed, temperatures):
                known += 1
    return wanted, wanted - known


def _prompts(table: Path) -> list[Prompt]:
    from wim.tables.files import read_table
    from wim.tables.schemas import PROMPTS

    return [Prompt(**row) for row in read_table(table, PROMPTS).to_pylist()]
