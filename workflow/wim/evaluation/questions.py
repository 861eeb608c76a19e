"""Questions of several turns as the prompts of an evaluation, and answers to them out of a file."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from wim.dialogues.candidates import ACTOR, candidate_of
from wim.dialogues.context import conversation
from wim.engines.base import Completion
from wim.errors import UserError
from wim.evaluation.formats.fastchat import read_model_answers
from wim.prompts.questions import FORM, Question, prompt_of, question_in, question_of
from wim.prompts.readers import read_rows
from wim.provenance.digest import digest_of, row_id
from wim.settings.dialogues import SystemAs
from wim.settings.prompts import PromptSettings
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import DIALOGUES, PROMPTS, Candidate, Message, Prompt

logger = logging.getLogger(__name__)


def question_prompts(
    settings: PromptSettings, split: str, references: Path | None, categories: Sequence[str]
) -> list[Prompt]:
    """The questions in files, each as the prompt that carries it.

    Args:
        settings: Which files are read.
        split: The prompts' split.
        references: FastChat's answers that are the references; None takes the questions' own.
        categories: Of these questions the reference is kept, of others it is left out.

    Raises:
        UserError: A row is no question, or two rows are one.
    """
    known = answers_by_question(references) if references is not None else None
    found: dict[str, Prompt] = {}
    ids: dict[str, str] = {}
    for source in settings.files:
        for row in read_rows(source, settings.split):
            question = question_in(row.values)
            if question is None:
                raise UserError(
                    f"{row.place}: found no id, or no turns that all have text; expected {FORM}, as "
                    "in FastChat's question.jsonl."
                )
            if known is not None:
                question = replace(question, reference=known.get(question.question_id, ()))
            if question.category not in categories:
                question = replace(question, reference=())
            prompt = prompt_of(question, split, row.source)
            for seen, key, what in (
                (ids, question.question_id, f"the id {question.question_id}"),
                (found, prompt.prompt_id, "these turns"),
            ):
                if key in seen:
                    raise UserError(f"{row.place}: an earlier question has {what}; take one out.")
            ids[question.question_id], found[prompt.prompt_id] = row.place, prompt
    with_reference = sum(bool(question_of(prompt).reference) for prompt in found.values())
    logger.info("questions: %d, %d of them with a reference answer", len(found), with_reference)
    return list(found.values())


def answers_by_question(path: Path) -> dict[str, tuple[str, ...]]:
    """The answers in a model_answer file, turn by turn. Raises UserError if two are of a question."""
    found: dict[str, tuple[str, ...]] = {}
    for one in read_model_answers(path):
        if one.question_id in found:
            raise UserError(
                f"{path}: two answers to the question {one.question_id}; leave one of them."
            )
        found[one.question_id] = one.turns
    return found


def read_question_answers(
    prompts: Path,
    answers: Path,
    system: str | None,
    speaker: str,
    output: Path,
    system_as: SystemAs = "system",
) -> None:
    """Write a speaker's answers to a shard of questions as a dialogues table, joined by question_id.

    Args:
        prompts: The shard.
        answers: FastChat's model_answer file.
        system: The system message that precedes the questions.
        speaker: The name of who answered.
        output: The table.
        system_as: Where the system message stands.

    Raises:
        UserError: The file is of another form, or has two answers to a question.
    """
    rows = [Prompt(**row) for row in read_table(prompts, PROMPTS).to_pylist()]
    known = answers_by_question(answers)
    questions = {row.prompt_id: question_of(row) for row in rows}
    found = [
        candidate
        for row in rows
        if (turns := known.get(questions[row.prompt_id].question_id))
        for candidate in _candidates(
            row,
            questions[row.prompt_id],
            turns,
            conversation(row.messages, system, system_as),
        )
    ]
    missing = sum(len(each.turns) for each in questions.values()) - len(found)
    if missing:
        logger.warning("%s: %d turns of this shard's questions have no answer", speaker, missing)
    write_table(output, DIALOGUES, as_arrow(DIALOGUES, found))


def _candidates(
    prompt: Prompt, question: Question, answers: Sequence[str], context: list[Message]
) -> Iterator[Candidate]:
    """An answer to each turn, each in the context of those before it."""
    answered = list(zip(question.turns, answers, strict=False))
    for turn, (_, answer) in enumerate(answered, start=1):
        candidate = candidate_of(
            Completion(
                key=row_id({"written": digest_of([context, answer])}),
                text=answer.strip(),
                finish_reason="stop",
                prompt_tokens=0,
                completion_tokens=len(answer.split()),
            ),
            prompt_id=prompt.prompt_id,
            dialogue_id=row_id([prompt.prompt_id, "questions"]),
            turn=turn,
            speaker=ACTOR,
            sample=0,
            context=context,
            seed=0,
            model_digest="",
        )
        yield replace(candidate, continued=turn < len(answered))
        if turn < len(answered):
            context = [
                *context,
                {"role": "assistant", "content": candidate.completion},
                {"role": "user", "content": question.turns[turn]},
            ]
