"""The summary's part on rows that no model has answered."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wim.tables.files import failed_rows, row_count
from wim.tables.schemas import COMPARISONS, DIALOGUES, RATINGS

TEXT = """
> **Rows without an answer: {rows}.** They are in no figure here; the logs say why. `wim retry`
> asks a server for them again.
"""


def failed_figures(
    dialogues: Sequence[str], ratings: Sequence[str], comparisons: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Of the tables with failed rows, how many were `wanted` and how many `failed`, by what they are.

    Args:
        dialogues: Dialogues tables; a completion that failed is not in them.
        ratings, comparisons: <judge>/<shard>.parquet; a row that failed is in them, as an error.
    """
    found: dict[str, dict[str, int]] = {}
    for stage, table, paths in (
        ("completions", DIALOGUES, dialogues),
        ("ratings", RATINGS, ratings),
        ("comparisons", COMPARISONS, comparisons),
    ):
        for path in paths:
            failed = failed_rows(path, table)
            name = stage if table is DIALOGUES else f"{stage} by {Path(path).parent.name}"
            of_stage = found.setdefault(name, {"wanted": 0, "failed": 0})
            of_stage["wanted"] += row_count(path) + (failed if table is DIALOGUES else 0)
            of_stage["failed"] += failed
    return {name: each for name, each in found.items() if each["failed"]}


def failed_text(figures: Mapping[str, Mapping[str, int]]) -> str:
    """A warning in Markdown; empty where no row failed."""
    if not figures:
        return ""
    rows = (f"{each['failed']:,} of {each['wanted']:,} {name}" for name, each in figures.items())
    return TEXT.format(rows=", ".join(rows))
