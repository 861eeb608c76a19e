"""Read the metrics that trainings log."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wim.errors import UserError


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl. Raises UserError if it is not JSON."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON ({error}). Delete the file and run again.") from None


def last_value(rows: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """The metric's last value that is a number."""
    values = [row[metric] for row in rows if row.get(metric) is not None]
    return float(values[-1]) if values else None
