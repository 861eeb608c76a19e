"""Read prompt files of any supported format as rows that know their place in the file."""

import csv
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.fetch.archives import SUFFIXES, is_archive, unpack

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)
BYTE_ORDER_MARK = "\ufeff"
FOUND_CHARS = 60


@dataclass(frozen=True)
class SourceRow:
    """A row as its file has it: values by column, plain Python at every depth.

    `source` is the name of the file, without its folder. `place` is what errors name: `file:line`
    for JSON lines, `file, row n` (counted from 1, a header not counted) for the rest. A file in an
    archive is named `archive/file` there.
    """

    source: str
    place: str
    values: Mapping[str, object]


def read_rows(source: str) -> Iterator[SourceRow]:
    """The rows of a .jsonl, .json, .csv or .parquet file, of a folder saved by `datasets`, or of
    an archive's members of these kinds, by name; other members are left out with a warning.

    Raises:
        UserError: A file is missing, empty, of another kind, damaged or not UTF-8, or a row is not
            an object; names the place and what was expected.
    """
    path = Path(source)
    if not path.exists():
        raise UserError(
            f"prompts.files: {source}: no such file; write a path from the working directory, "
            f"which is {Path.cwd()}."
        )
    yield from _archive_rows(path, source) if is_archive(path) else _rows(path, source)


def _archive_rows(archive: Path, source: str) -> Iterator[SourceRow]:
    """The rows of an archive, which is unpacked only while they are read."""
    with TemporaryDirectory(prefix="wim-prompts-") as temporary:
        folder = Path(temporary, archive.name)
        unpack(archive, folder, f"prompts.files: {source}")
        members, others = _members(folder)
        names = [path.relative_to(folder).as_posix() for path in others]
        if not members:
            raise UserError(
                f"prompts.files: {source}: found {', '.join(names[:5])} in it; write an archive "
                f"with files that end in {', '.join(READERS)}."
            )
        if others:
            logger.warning("prompts.files: %s: left out: %s", source, ", ".join(names))
        for path in members:
            yield from _rows(path, str(Path(source, path.relative_to(folder))))


def _members(folder: Path) -> tuple[list[Path], list[Path]]:
    """The readable files of an unpacked folder, and the others, both in order of their names."""
    if _is_saved(folder):
        return [folder], []
    members, others = [], []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            readable, rest = _members(path)
            members += readable
            others += rest
        else:
            (members if path.suffix.lower() in READERS else others).append(path)
    return members, others


def _rows(path: Path, source: str) -> Iterator[SourceRow]:
    """The rows of a file or folder at a path, which errors call `source`."""
    reader = _read_folder if path.is_dir() else READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"prompts.files: {source}: found the extension '{path.suffix}'; write a file that "
            f"ends in {', '.join(READERS)}, a folder saved by datasets' save_to_disk, or an "
            f"archive of them ({', '.join(SUFFIXES)})."
        )
    empty = True
    for place, values in reader(path, source):
        empty = False
        yield SourceRow(path.name, place, values)
    if empty:
        raise UserError(f"{source}: found no rows; expected one prompt per row.")


def found_text(value: object) -> str:
    """The beginning of a value, for an error: at most 60 characters of its repr."""
    text = repr(value)
    return text if len(text) <= FOUND_CHARS else text[:FOUND_CHARS] + "..."


Placed = tuple[str, Mapping[str, object]]


def _read_jsonl(path: Path, source: str) -> Iterator[Placed]:
    offset = 0
    with path.open("rb") as file:
        # A binary file ends its lines at LF only; str.splitlines would also cut at U+2028,
        # which JSON allows inside strings.
        for number, line in enumerate(file, start=1):
            text = _decoded(source, line, offset, number)
            offset += len(line)
            if text.strip():
                yield _object(f"{source}:{number}", _parsed_line(source, number, text))


def _parsed_line(source: str, number: int, text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise UserError(
            f"{source}:{number}: not JSON ({error}); found {found_text(text.strip())}, expected "
            f'one object per line, such as {{"prompt": "..."}}.'
        ) from None
    return value


def _read_json(path: Path, source: str) -> Iterator[Placed]:
    text = _decoded(source, path.read_bytes())
    if not text.strip():
        return
    try:
        content = json.loads(text)
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


def _read_csv(path: Path, source: str) -> Iterator[Placed]:
    text = _decoded(source, path.read_bytes())
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
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(header):
            raise UserError(
                f"{source}, row {number}: found {len(row)} fields, but the header has "
                f"{len(header)} ({', '.join(header)}); put texts that hold commas in double quotes."
            )
        yield f"{source}, row {number}", dict(zip(header, row, strict=True))


def _read_parquet(path: Path, source: str) -> Iterator[Placed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield from _placed(source, file.iter_batches())
    except pa.ArrowInvalid as error:
        raise UserError(f"{source}: not a readable Parquet file ({error}).") from None


def _is_saved(folder: Path) -> bool:
    """Whether datasets' save_to_disk wrote a folder."""
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _read_folder(path: Path, source: str) -> Iterator[Placed]:
    if not _is_saved(path):
        raise UserError(
            f"prompts.files: {source}: found a folder without state.json or dataset_dict.json; "
            f"expected one that datasets' save_to_disk wrote. Name other files one by one."
        )
    import datasets

    try:
        saved = datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{source}: not a readable datasets folder ({error}).") from None
    splits = saved if isinstance(saved, datasets.DatasetDict) else {"": saved}
    for name, split in splits.items():
        # As Arrow, so that images and audio among the other columns are not decoded.
        batches = split.with_format("arrow").iter(batch_size=1000)
        yield from _placed(f"{source}, split {name}" if name else source, batches)


def _placed(
    source: str, batches: "Iterator[pa.RecordBatch] | Iterator[pa.Table]"
) -> Iterator[Placed]:
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            number += 1
            yield f"{source}, row {number}", _without_index(values)


def _without_index(values: Mapping[str, object]) -> Mapping[str, object]:
    """A row without the pandas index, which is the row's number and no property of the prompt."""
    return {name: value for name, value in values.items() if not name.startswith("__index_level_")}


def _object(place: str, value: object) -> Placed:
    if not isinstance(value, dict):
        raise UserError(
            f'{place}: found {found_text(value)}; expected an object, such as {{"prompt": "..."}}.'
        )
    return place, value


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


READERS: dict[str, Callable[[Path, str], Iterator[Placed]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
