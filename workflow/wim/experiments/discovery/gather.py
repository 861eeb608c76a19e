"""Add a generation to the archive."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wim.display.json_files import read_json
from wim.experiments.discovery.archive import (
    BASELINE,
    FAILED,
    INVALID,
    TRIED,
    Archived,
    read_archive,
    write_archive,
)
from wim.own_loss.expressions import shortened

logger = logging.getLogger(__name__)


def archive_losses(
    before: Path | None,
    proposals: Sequence[Path],
    outcomes: Sequence[Path],
    fitness: Sequence[Path],
    candidates: Sequence[str],
    generation: int,
    output: Path,
) -> None:
    """Write the archive with a generation's attempts behind those of the generations before.

    Args:
        before: The archive so far; None for the first.
        proposals: What was proposed, candidate by candidate.
        outcomes: What became of their trainings.
        fitness: What they are worth.
        candidates: Their names: that of the generation, or of all baselines.
        generation: Its number, 0 for the baselines.
        output: The new archive.
    """
    rows = read_archive(before)
    for name, *files in zip(candidates, proposals, outcomes, fitness, strict=True):
        proposed, outcome, worth = map(read_json, files)
        for attempt in proposed["attempts"]:
            tried = attempt["reason"] is None
            rows.append(
                Archived(
                    number=len(rows),
                    generation=generation,
                    candidate=name if tried else None,
                    status=_status(generation, attempt, worth),
                    **{key: attempt[key] for key in ("thought", "name", "code", "digest")},
                    parent=proposed["parent"],
                    fitness=worth["fitness"] if tried else None,
                    standard_error=worth["standard_error"] if tried else None,
                    seconds=outcome["seconds"] if tried and outcome["trained"] else None,
                    reason=worth["reason"] if tried else attempt["reason"],
                    answer=attempt["answer"] if generation else None,
                )
            )
    write_archive(output, rows)
    for row in rows:
        if row.generation == generation:
            told = row.reason if row.fitness is None else f"fitness {row.fitness:.6g}"
            name = shortened(row.name or "no name")
            logger.info("%s: %s: %s", row.candidate or "not tried", name, told)


def _status(generation: int, attempt: dict[str, Any], worth: dict[str, Any]) -> str:
    if attempt["reason"] is not None:
        return INVALID
    if worth["fitness"] is None:
        return FAILED
    return BASELINE if generation == 0 else TRIED
