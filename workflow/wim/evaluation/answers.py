"""Answers that were generated elsewhere, as the dialogues of a speaker."""

import logging
from pathlib import Path

from wim.dialogues.candidates import ACTOR, candidate_of
from wim.dialogues.context import conversation
from wim.engines.base import Completion
from wim.errors import UserError
from wim.evaluation.formats.alpaca_eval import read_model_outputs
from wim.prompts.messages import clean_text
from wim.provenance.digest import digest_of, row_id
from wim.settings.dialogues import SystemAs
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import DIALOGUES, PROMPTS, Candidate, Message, Prompt

logger = logging.getLogger(__name__)


def read_answers(
    prompts: Path,
    answers: Path | None,
    system: str | None,
    speaker: str,
    output: Path,
    system_as: SystemAs = "system",
) -> None:
    """Write the answers of a shard of prompts as a dialogues table.

    Answers are joined to prompts by the text of the instruction, never by their place. A prompt
    without one has no row, and its comparisons are left out and counted.

    Args:
        prompts: The shard.
        answers: JSON or JSON lines of {instruction, output}; None takes the prompts' references.
        system: The system message that precedes the prompts.
        speaker: The name of who answered.
        output: The table.
        system_as: Where the system message stands.

    Raises:
        UserError: A row of the file has no instruction or output, or two rows answer one instruction
            differently.
    """
    rows = [Prompt(**row) for row in read_table(prompts, PROMPTS).to_pylist()]
    if answers is None:
        known = {row.prompt_id: row.reference for row in rows if row.reference is not None}
    else:
        texts = answers_by_instruction(answers)
        known = {row.prompt_id: texts[key] for row in rows if (key := instruction(row)) in texts}
    found = [
        _candidate(row, known[row.prompt_id], conversation(row.messages, system, system_as))
        for row in rows
        if row.prompt_id in known
    ]
    if missing := len(rows) - len(found):
        logger.warning(
            "%s: %d of %d prompts of this shard have no answer", speaker, missing, len(rows)
        )
    write_table(output, DIALOGUES, as_arrow(DIALOGUES, found))


def instruction(prompt: Prompt) -> str:
    """The text by which answers of a file are joined to a prompt: its last user message."""
    return clean_text(prompt.messages[-1]["content"])


def answers_by_instruction(path: Path) -> dict[str, str]:
    """The output of each instruction of a file. Raises UserError as in `read_answers`."""
    found: dict[str, str] = {}
    for one in read_model_outputs(path):
        key = clean_text(one.instruction)
        if found.setdefault(key, one.output) != one.output:
            raise UserError(f"{path}: two answers to '{key[:60]}'; leave one of them.")
    return found


def _candidate(prompt: Prompt, text: str, context: list[Message]) -> Candidate:
    return candidate_of(
        Completion(
            key=row_id({"written": digest_of([context, text])}),
            text=text.strip(),
            finish_reason="stop",
            prompt_tokens=0,
            completion_tokens=len(text.split()),
        ),
        prompt_id=prompt.prompt_id,
        dialogue_id=row_id([prompt.prompt_id, "completions"]),
        turn=1,
        speaker=ACTOR,
        sample=0,
        context=context,
        seed=0,
        model_digest="",
    )
