"""JSON files that are equal to the byte for equal values: sorted keys, no NaN, whole or none."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wim.atomic import whole_file


def write_json(path: str | Path, value: object) -> None:
    """Write a value as indented JSON with sorted keys; its folder is created.

    Raises:
        ValueError: The value holds NaN or an infinity, which JSON does not have.
    """
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    with whole_file(Path(path)) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8")


def write_json_lines(path: str | Path, rows: Iterable[object]) -> None:
    """Write one JSON value per line, with sorted keys."""
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in rows]
    with whole_file(Path(path)) as partial:
        partial.write_text("".join(lines), encoding="utf-8")


def rounded(value: Any) -> Any:
    """A JSON value with its floats rounded to six significant digits."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
