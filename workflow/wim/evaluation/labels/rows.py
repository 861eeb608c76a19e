"""Rows of files of labels: JSON, JSON lines (also compressed) and Parquet."""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from wim.errors import UserError
from wim.evaluation.formats.rows import readable
from wim.evaluation.judged_pairs import Winner
from wim.prompts.messages import read_conversation
from wim.prompts.rows import found_text
from wim.prompts.text_files import COMPRESSIONS
from wim.tables.schemas import Message

Context = tuple[Message, ...]


@dataclass(frozen=True)
class LabelRow:
    """A row of a file, and what errors say of it.

    Attributes:
        path: The file.
        place: `row 3`, or `line 3` of JSON lines.
        values: By key.
        expected: The form of the rows, in words.
    """

    path: Path
    place: str
    values: Mapping[str, Any]
    expected: str

    def refuse(self, found: str) -> NoReturn:
        """Raise a UserError that says what was found in this row, and what is expected."""
        raise UserError(f"{self.path}: {self.place} {found}; expected {self.expected}.")

    def text(self, key: str) -> str:
        """A value that must be a text."""
        return self._as_text(self.values.get(key))

    def texts(self, key: str) -> list[str]:
        """A value that must be a text or several; of a conversation, its last message."""
        value = self.values.get(key)
        if isinstance(value, list) and value and isinstance(value[-1], Mapping):
            value = value[-1].get("content")
        return [self._as_text(each) for each in (value if isinstance(value, list) else [value])]

    def optional(self, key: str) -> str:
        """A text, "" where the value is missing, null or NaN."""
        value = self.values.get(key)
        return "" if value is None or value != value else self._as_text(value)

    def name(self, *keys: str) -> str:
        """The first of the values that is a text or a number, as a text; "" if there is none."""
        found = (self.values.get(key) for key in keys)
        return next((str(one) for one in found if isinstance(one, str | int)), "")

    def prompt(self, key: str) -> Context:
        """A prompt: a text, which a user says, or a conversation that ends with a user's message."""
        value = self.values.get(key)
        if isinstance(value, list):
            return self.conversation(key)
        return ({"role": "user", "content": self._as_text(value)},)

    def conversation(self, key: str) -> Context:
        """A conversation that ends with a user's message."""
        where = f"{self.path}: {self.place}, {key}"
        messages, answer = read_conversation(self.values[key], where, may_be_whole=True)
        if answer is not None or not messages or messages[-1]["role"] != "user":
            self.refuse(f"has a conversation in {key} that does not end with a user's message")
        return tuple(messages)

    def instruction_with_input(self, instruction: str, text: str) -> Context:
        """An instruction and what it is about, which may be missing, in one user's message."""
        parts = [part for part in (instruction, text) if part.strip()]
        if not parts:
            self.refuse("has no texts to compare")
        return ({"role": "user", "content": "\n\n".join(parts)},)

    def winner(self, labels: Mapping[object, Winner], value: object) -> Winner:
        """What a label says. true and false are no numbers."""
        if isinstance(value, bool) or not isinstance(value, Hashable) or value not in labels:
            self.refuse(f"has the label {value!r}")
        return labels[value]

    def _as_text(self, value: object) -> str:
        if not isinstance(value, str):
            self.refuse("has no texts to compare")
        return readable(value)


def read_rows(path: Path, expected: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The rows of a file with their places.

    Args:
        path: A JSON list; JSON lines, under whatever name; either compressed; or Parquet.
        expected: The form of the rows, for errors.

    Raises:
        UserError: The file is missing or of another kind, or a row is no object.
    """
    if path.suffix == ".parquet" and path.is_file():
        from wim.prompts.arrow_files import read_parquet

        places = enumerate(read_parquet(path, str(path)), start=1)
        return [(f"row {number}", values) for number, (_, values) in places]
    found = _values(path, expected)
    for place, value in found:
        if not isinstance(value, Mapping):
            raise UserError(
                f"{path}: {place} has no texts to compare: found {found_text(value)}; "
                f"expected {expected}."
            )
    return found


def _values(path: Path, expected: str) -> list[tuple[str, Any]]:
    try:
        text = _content(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected {expected}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); expected {expected}.") from None
    lines = ".jsonl" in path.suffixes
    try:
        value = None if lines else json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip()[:1] != "{":
            raise UserError(f"{path}: not JSON ({error}); expected {expected}.") from None
        lines = True
    if lines:
        return _of_lines(path, text.split("\n"), expected)
    if not isinstance(value, list):
        raise UserError(
            f"{path}: found no list of rows, but {found_text(value)}; expected {expected}. A file "
            "with one row in each line is named .jsonl."
        )
    return [(f"row {number}", row) for number, row in enumerate(value, start=1)]


def _of_lines(path: Path, lines: Sequence[str], expected: str) -> list[tuple[str, Any]]:
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append((f"line {number}", json.loads(line)))
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{path}: line {number} is not JSON ({error}); expected {expected}."
            ) from None
    return found


def _content(path: Path) -> bytes:
    """The bytes of a file, decompressed where its name says so."""
    compression = COMPRESSIONS.get(path.suffix)
    if compression is None:
        return path.read_bytes()
    import pyarrow as pa

    if not path.is_file():
        raise FileNotFoundError(path)
    with pa.input_stream(str(path), compression=compression) as stream:
        return bytes(stream.read())
