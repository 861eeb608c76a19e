"""Rows of JSON files that others have made, with where each is from and what could not be read."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.errors import UserError
from wim.prompts.messages import LONE_SURROGATE

SHOWN = 60


@dataclass(frozen=True)
class FileRow:
    """A row of a file: its place in words, such as `line 3`, and its values by key."""

    place: str
    values: Mapping[str, Any]

    def text(self, *keys: str) -> str | None:
        """The first of the keys that holds a text."""
        found = (self.values.get(key) for key in keys)
        return next((readable(value) for value in found if isinstance(value, str)), None)


@dataclass(frozen=True)
class FileRows:
    """The rows of a file, and the places of what is no row."""

    path: Path
    rows: Sequence[FileRow]
    unreadable: Sequence[str] = ()


def read_rows(path: Path, form: str) -> FileRows:
    """The rows of a JSON list, of an object of lists or of columns, or of JSON lines.

    Args:
        path: The file; JSON lines if its name ends in .jsonl, or if it is no single JSON value.
        form: What was expected, for errors.

    Raises:
        UserError: The file is missing, not UTF-8 or cut off, or holds no row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; write the path of {form}.") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); write the path of {form}."
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); expected {form}.") from None
    try:
        found = _of_lines(text) if path.suffix == ".jsonl" else _of_value(json.loads(text))
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            raise UserError(f"{path}: not JSON ({error}); expected {form}.") from None
        found = _of_lines(text)
    rows = [FileRow(place, value) for place, value in found if isinstance(value, Mapping)]
    unreadable = [place for place, value in found if not isinstance(value, Mapping)]
    if not rows:
        raise UserError(f"{path}: found {_shown(text)}, and no row in it; expected {form}.")
    return FileRows(path, rows, unreadable)


def _of_value(value: Any) -> list[tuple[str, Any]]:
    """The rows of a JSON value: a list, an object with lists of objects, or one of columns."""
    if isinstance(value, list):
        return [(f"row {number}", row) for number, row in enumerate(value, start=1)]
    if not isinstance(value, Mapping):
        return [("the file", value)]
    lists = {key: rows for key, rows in value.items() if isinstance(rows, list)}
    if lists and all(_are_objects(rows) for rows in lists.values()):
        return [
            (f"{key}, row {number}", row)
            for key, rows in lists.items()
            for number, row in enumerate(rows, start=1)
        ]
    columns = {key: _column(values) for key, values in value.items()}
    lengths = {len(column) if column is not None else -1 for column in columns.values()}
    if len(lengths) != 1 or -1 in lengths:
        return [("the file", value)]
    return [
        (f"row {number + 1}", {key: column[number] for key, column in columns.items() if column})
        for number in range(lengths.pop())
    ]


def _column(values: object) -> list[Any] | None:
    if isinstance(values, Mapping):
        return list(values.values())
    return values if isinstance(values, list) else None


def _are_objects(rows: Sequence[object]) -> bool:
    return any(isinstance(row, Mapping) for row in rows)


def _of_lines(text: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append((f"line {number}", json.loads(line)))
        except (ValueError, RecursionError):
            found.append((f"line {number}", None))
    return found


def _shown(text: str) -> str:
    start = text.strip()[:SHOWN]
    return f"{start!r}" if start else "an empty file"


def readable(text: str) -> str:
    """A text without what neither Parquet nor a tokenizer takes: NUL and lone surrogates."""
    return LONE_SURROGATE.sub("\ufffd", text.replace("\0", ""))


def number(value: object) -> float | None:
    """A JSON number, or the number a text spells; None for anything else and for NaN."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def printable(name: str) -> str:
    """A name out of a file as a line of text, without control characters and not overlong."""
    shown = "".join(char if char.isprintable() else "?" for char in name)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."


def some(places: Sequence[str]) -> str:
    """Some places in words: the first five, and how many more there are."""
    more = len(places) - 5
    return ", ".join(places[:5]) + (f" and {more} more" if more > 0 else "")
