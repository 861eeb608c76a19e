"""The prompts of an evaluation: those that are held out from training, or those of files."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from wim.errors import UserError
from wim.evaluation.questions import question_prompts
from wim.prompts.ingest import keep_prompts, read_prompts
from wim.prompts.splits import shard_of
from wim.settings.prompts import PromptSettings
from wim.tables.files import as_arrow, read_tables, write_table
from wim.tables.schemas import PROMPTS, Prompt

logger = logging.getLogger(__name__)
HELD_OUT = "eval"


def evaluation_prompts(
    files: Sequence[str],
    settings: PromptSettings | None,
    outputs: Sequence[Path],
    reference_categories: Sequence[str] | None = None,
    reference_answers: Path | None = None,
) -> None:
    """Write the prompts of an evaluation, each to the shard of its id.

    Args:
        files: Files of prompts; of held-out prompts the shards of the run's own.
        settings: What is read and kept of files; None takes the held-out prompts of the shards.
        outputs: The tables, one for each shard.
        reference_categories: Of questions of several turns, those that are judged beside a
            reference answer; None for other prompts.
        reference_answers: The file of reference answers to questions; None takes their own.

    Raises:
        UserError: There is no prompt.
    """
    if settings is None:
        prompts = _held_out(files)
    elif reference_categories is None:
        prompts = _kept(read_prompts(settings).distinct.values(), settings)
    else:
        questions = question_prompts(settings, HELD_OUT, reference_answers, reference_categories)
        prompts = _kept(questions, settings)
    if not prompts:
        raise UserError(
            "evaluation: no prompt is held out from training; write prompts.eval_fraction: 0.1, "
            "or files of prompts for the evaluation (evaluations.<name>.prompts.files)."
        )
    shards: list[list[Prompt]] = [[] for _ in outputs]
    for prompt in prompts:
        shards[shard_of(prompt.prompt_id, len(outputs))].append(prompt)
    for output, rows in zip(outputs, shards, strict=True):
        write_table(output, PROMPTS, as_arrow(PROMPTS, rows))
    logger.info("evaluation: %d prompts in %d shards", len(prompts), len(outputs))


def _held_out(shards: Sequence[str]) -> list[Prompt]:
    rows = read_tables([Path(path) for path in shards], PROMPTS).to_pylist()
    return [Prompt(**row) for row in rows if row["split"] == HELD_OUT]


def _kept(prompts: Iterable[Prompt], settings: PromptSettings) -> list[Prompt]:
    kept, _ = keep_prompts(prompts, settings)
    return [replace(prompt, split=HELD_OUT) for prompt in kept]
