"""Read the metrics that trainings log."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wim.display.json_files import read_json_lines


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl. Raises UserError if it is not JSON."""
    return read_json_lines(Path(path))


def last_value(rows: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """The metric's last value that is a number."""
    values = [row[metric] for row in rows if row.get(metric) is not None]
    return float(values[-1]) if values else None
