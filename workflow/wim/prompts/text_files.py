"""Read rows of .jsonl, .json and .csv files, plain or compressed with gzip or Zstandard."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from wim.errors import UserError
from wim.prompts.rows import Placed, found_names, found_text, repeated

BYTE_ORDER_MARK = "\ufeff"
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def read_jsonl(path: Path, source: str) -> Iterator[Placed]:
    """The rows of a file of one JSON object per line; raises UserError for a line that is none."""
    offset = 0
    # A binary file ends its lines at LF only; str.splitlines would also cut at U+2028, which JSON
    # allows inside strings.
    for number, line in enumerate(_lines(path, source), start=1):
        text = _decoded(source, line, offset, number)
        offset += len(line)
        if text.strip():
            yield _object(f"{source}:{number}", _parsed_line(source, number, text))


def read_json(path: Path, source: str) -> Iterator[Placed]:
    """The rows of a JSON file: a list of objects, or an object with such a list under `data`."""
    text = _decoded(source, b"".join(_lines(path, source)))
    if not text.strip():
        return
    try:
        content = _parsed(source, text)
    except json.JSONDecodeError as error:
        hint = " Name a file with one object per line .jsonl." if "Extra" in error.msg else ""
        raise UserError(
            f"{source}:{error.lineno}: not JSON ({error.msg}); found "
            f"{found_text(text[error.pos :])}, expected a list of objects.{hint}"
        ) from None
    rows = content.get("data") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise UserError(
            f"{source}: found {found_text(content)}; expected a list of objects, or an object "
            f'with such a list under "data".'
        )
    for number, row in enumerate(rows, start=1):
        yield _object(f"{source}, row {number}", row)


def read_csv(path: Path, source: str) -> Iterator[Placed]:
    """The rows of a CSV file with a header; raises UserError for one that is not well formed."""
    text = _decoded(source, b"".join(_lines(path, source)))
    csv.field_size_limit(sys.maxsize)  # The default refuses prompts above 128 KiB.
    # Strict, because an unclosed quote would otherwise swallow the rest of the file silently.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise UserError(
            f"{source}:{reader.line_num}: not CSV ({error}); expected texts that hold commas, "
            f'quotes or line ends in double quotes, and a quote inside them doubled ("").'
        ) from None
    header = rows[0] if rows else []
    twice = repeated(header)
    if twice is not None:
        raise UserError(
            f"{source}: found two columns {found_text(twice)} in the header; rename one, or take "
            "it out."
        )
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(header):
            raise UserError(
                f"{source}, row {number}: found {len(row)} fields, but the header has "
                f"{len(header)} ({found_names(header)}); put texts that hold commas in double "
                "quotes."
            )
        yield f"{source}, row {number}", dict(zip(header, row, strict=True))


def _parsed_line(source: str, number: int, text: str) -> object:
    try:
        return _parsed(f"{source}:{number}", text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{source}:{number}: not JSON ({error}); found {found_text(text.strip())}, expected "
            f'one object per line, such as {{"prompt": "..."}}.'
        ) from None


def _parsed(place: str, text: str) -> object:
    """Parse JSON; raises JSONDecodeError, and UserError for what JSON allows but no row can be."""

    def as_dict(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
        values = dict(pairs)
        if len(values) < len(pairs):
            twice = repeated(name for name, _ in pairs)
            raise UserError(
                f"{place}: found the key {found_text(twice)} twice in one object, "
                f"{found_text(values)}; rename one, or take it out."
            )
        return values

    try:
        value: object = json.loads(text, object_pairs_hook=as_dict)
    except RecursionError:
        raise UserError(
            f"{place}: found lists or objects nested too deeply to be read; take them out."
        ) from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # An integer of more digits than Python converts.
        raise UserError(f"{place}: not readable ({error}); write it as a string.") from None
    return value


def _object(place: str, value: object) -> Placed:
    if not isinstance(value, dict):
        raise UserError(
            f'{place}: found {found_text(value)}; expected an object, such as {{"prompt": "..."}}.'
        )
    return place, value


def _lines(path: Path, source: str) -> Iterator[bytes]:
    """The lines of a file with their ends, decompressed if its name says that it is compressed."""
    number = 0
    try:
        with _opened(path) as file:
            for line in file:
                yield line
                number += 1
    except OSError as error:
        raise UserError(
            f"{source}: cannot be read after line {number} ({error.strerror or error}); fetch it "
            "again."
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression is None:
        with path.open("rb") as plain:
            yield plain
    else:
        import pyarrow as pa

        with pa.input_stream(str(path), compression=compression) as stream:
            yield io.BufferedReader(cast(io.RawIOBase, stream))


def _decoded(source: str, content: bytes, offset: int = 0, line: int = 1) -> str:
    """Decode UTF-8; `offset` and `line` are the place of the first byte in the file, for errors."""
    try:
        text = content.decode("utf-8")
        return text.removeprefix(BYTE_ORDER_MARK) if offset == 0 else text
    except UnicodeDecodeError as error:
        line += content.count(b"\n", 0, error.start)
        raise UserError(
            f"{source}:{line}: not UTF-8: found the byte 0x{content[error.start]:02x} at byte "
            f"offset {offset + error.start}; save the file as UTF-8."
        ) from None
