"""JSON files that are equal to the byte for equal values: sorted keys, no NaN, whole or none."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wim.atomic import whole_file
from wim.errors import UserError
from wim.paths import made_anew


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


def read_json(path: Path) -> Any:
    """The value of a JSON file that a stage wrote; UserError names a file that is damaged."""
    with _user_errors(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The values of a file with one in each line, as `write_json_lines` writes it."""
    with _user_errors(path):
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@contextmanager
def _user_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. {made_anew(path)}") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}). {made_anew(path)}") from None
