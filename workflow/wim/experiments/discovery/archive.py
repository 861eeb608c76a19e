"""The archive: every loss that was proposed, and what became of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import Table

BASELINE, TRIED, INVALID, FAILED = "baseline", "tried", "invalid", "failed"


@dataclass(frozen=True, kw_only=True)
class Archived:
    """A loss that was proposed, or a baseline.

    Attributes:
        number: Its place, from 0, baselines first.
        generation: From 1; 0 for a baseline.
        candidate: The name of its training; None for one that was not trained.
        status: `baseline` or `tried`, which have a fitness; `invalid` (no loss, or not fit to be
            trained with) or `failed` (its training or evaluation was), with the reason.
        thought, name, code: What was proposed, as far as it could be read.
        digest: Of the formula, whatever its names (64 hex digits); None if it is none.
        parent: The digest of the best loss that the proposer was shown.
        fitness, standard_error: Of the training, see wim.experiments.discovery.fitness.
        seconds: Of the training.
        reason: Why there is no fitness.
        answer: The proposer's own words.
    """

    number: int
    generation: int
    candidate: str | None
    status: str
    thought: str | None
    name: str | None
    code: str | None
    digest: str | None
    parent: str | None
    fitness: float | None
    standard_error: float | None
    seconds: float | None
    reason: str | None
    answer: str | None


# In this project tables of stages are in wim.tables; no stage but those of discovery reads this one.
ARCHIVE = Table("discovery", Archived, key=("number",))


def read_archive(path: Path | None) -> list[Archived]:
    """The rows of an archive in their order; none without a file."""
    if path is None:
        return []
    rows: list[dict[str, Any]] = read_table(path, ARCHIVE).to_pylist()
    return [Archived(**row) for row in rows]


def write_archive(path: Path, rows: Iterable[Archived]) -> None:
    """Write an archive."""
    write_table(path, ARCHIVE, as_arrow(ARCHIVE, list(rows)))  # type: ignore[arg-type]


def best_of(rows: Sequence[Archived], direction: str) -> Archived | None:
    """The row with the best fitness, the earliest of several; None if none has one."""
    sign = 1.0 if direction == "max" else -1.0
    known = [row for row in rows if row.fitness is not None]
    return max(known, key=lambda row: (sign * (row.fitness or 0.0), -row.number), default=None)
