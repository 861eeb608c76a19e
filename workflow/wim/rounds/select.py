"""The prompts that a round of an arm uses."""

import logging
from collections.abc import Iterable
from pathlib import Path

from wim.prompts.splits import slice_of
from wim.rounds.stop import reason_to_stop
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import PROMPTS, Prompt

logger = logging.getLogger(__name__)


def select_prompts(
    prompts: Path, verdicts: Iterable[str | Path], number: int, slices: int | None, output: Path
) -> None:
    """Write the prompts of a shard that a round uses.

    Held-out prompts are in every round, so that all rounds are measured on the same ones. After
    the arm has converged no prompt is selected, and so the rest of the round is empty.

    Args:
        prompts: The shard's prompts table.
        verdicts: What the convergence check after the round before wrote, if there was one.
        number: The round, from 1.
        slices: How many slices the training prompts are shared out over, of which the round uses
            its own; None: every round uses all of them.
        output: The round's prompts table of this shard.
    """
    rows = [Prompt(**row) for row in read_table(prompts, PROMPTS).to_pylist()]
    kept = [
        row
        for row in rows
        if slices is None or row.split == "eval" or slice_of(row.prompt_id, slices) == number
    ]
    stopped = reason_to_stop(verdicts)
    if stopped:
        logger.info("prompts: none, as the arm has stopped: %s", stopped)
        kept = []
    else:
        logger.info("prompts: %d of %d are of round %d", len(kept), len(rows), number)
    write_table(output, PROMPTS, as_arrow(PROMPTS, kept))
