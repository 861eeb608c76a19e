"""The files of a row store: Parquet parts that appear whole, under unique names.

A part's first column is `key` (32 bytes), the rest is the stored row. No time and no
machine is recorded in it. Parts are never changed: they are written, merged into a new part, or
deleted.
"""

import errno
import logging
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from wim.atomic import partial_path, put_in_place
from wim.errors import UserError

logger = logging.getLogger(__name__)

KEY_BYTES = 32
KEY = pa.field("key", pa.binary(KEY_BYTES), nullable=False)
PART_BYTES = 256 * 10**6
# A look-up reads whole row groups, so their size limits its memory and what it reads needlessly.
GROUP_ROWS = 1024
GROUP_BYTES = 8 * 2**20


class UnreadablePart(Exception):
    """A file that is damaged or not a part of this store; the message names it and says why."""


def list_files(folder: Path) -> list[Path]:
    """The visible files of a stage's folder, by name: its parts, and any others."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if not e.name.startswith(".") and e.is_file()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: the row store cannot be read ({error.strerror}); make the "
            "folder readable, delete what is no file of it, or set `store:` to another one."
        ) from None
    return [folder / name for name in sorted(names)]


def is_part(path: Path) -> bool:
    """Whether a file has the name of a part."""
    return path.name.startswith("part-") and path.suffix == ".parquet"


class Part:
    """A part opened for reading, one row group at a time.

    Every method raises FileNotFoundError if the part is gone (merged or pruned by someone
    else), and UnreadablePart if it is damaged or not of the schema.
    """

    def __init__(self, path: Path, schema: "pa.Schema | None" = None) -> None:
        """Open a part, whose schema (with the key) must be the given one if one is given."""
        self.path = path
        if not is_part(path):
            raise UnreadablePart(f"{path}: not a part of the row store, by its name.")
        with _reading(path):
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            self.schema = self._file.schema_arrow.remove_metadata()
        if not self.schema.names or not self.schema.field(0).equals(KEY):
            raise UnreadablePart(
                f"{path}: not a part of the row store: its first column is not a key."
            )
        if schema is not None and not self.schema.equals(schema):
            raise UnreadablePart(
                f"{path}: not of this version of the table: it has the columns "
                f"{_columns(self.schema)}; expected {_columns(schema)}."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def groups(self) -> range:
        """The numbers of the row groups."""
        return range(self._file.num_row_groups)

    def keys(self, group: int) -> bytes:
        """The keys of a row group, end to end (rows x 32 bytes); no other column is read."""
        with _reading(self.path):
            table = self._file.read_row_group(group, columns=["key"], use_threads=False)
            column = table.column("key").combine_chunks()
            start = column.offset * KEY_BYTES
            raw: bytes = column.buffers()[1].to_pybytes()
        return raw[start : start + len(column) * KEY_BYTES]

    def rows(self, group: int, places: Sequence[int]) -> "pa.Table":
        """Rows of a row group, by their indices in it."""
        with _reading(self.path):
            return self._file.read_row_group(group, use_threads=False).take(list(places))


class PartWriter:
    """Writes rows as one part after another; each appears in the folder whole, by `finish`.

    Raises UserError, naming the folder, where it cannot be created or written.
    """

    def __init__(self, folder: Path, schema: "pa.Schema") -> None:
        self.folder = folder
        self.schema = schema
        self._pending: list[pa.Table] = []
        self._partial: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove an unfinished part."""
        if self._partial:
            # On a full disk closing fails too, which no longer matters.
            with suppress(OSError, pa.ArrowException):
                self._parquet.close()
            with suppress(OSError, pa.ArrowException):
                self._sink.close()
            self._partial.unlink(missing_ok=True)
            self._partial = None

    @property
    def size(self) -> int:
        """Bytes of the part so far, those still in memory counted as if uncompressed."""
        written = self._sink.tell() if self._partial else 0
        return int(written + sum(table.nbytes for table in self._pending))

    def write(self, rows: "pa.Table") -> None:
        """Append rows; they are gathered to row groups of up to GROUP_ROWS or GROUP_BYTES."""
        self._pending.append(rows)
        gathered = sum(len(table) for table in self._pending)
        if gathered >= GROUP_ROWS or sum(t.nbytes for t in self._pending) >= GROUP_BYTES:
            self._write_group()

    def finish(self, modified: float | None = None) -> Path | None:
        """Give the part its name, and a modification time if given; None if it has no rows."""
        if self._pending:
            self._write_group()
        if self._partial is None:
            return None
        path = self._path
        with writing(self.folder):
            self._parquet.close()
            self._sink.close()
            if modified is not None:
                os.utime(self._partial, (modified, modified))
            put_in_place(self._partial, path)
            self._partial = None
        return path

    def _write_group(self) -> None:
        rows = pa.concat_tables(self._pending).combine_chunks()
        with writing(self.folder):
            if self._partial is None:
                self._open()
            self._parquet.write_table(rows, row_group_size=len(rows))
        self._pending.clear()

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self.folder / f"part-{uuid.uuid4().hex}.parquet"
        partial = partial_path(self._path)
        self._sink = pa.OSFile(str(partial), "wb")
        # Values rarely repeat, and statistics of texts would enlarge the footers of small parts.
        self._parquet = pq.ParquetWriter(
            self._sink,
            self.schema,
            compression="zstd",
            use_dictionary=False,
            write_statistics=False,
            write_page_checksum=True,
        )
        self._partial = partial


def merge(
    folder: Path, schema: "pa.Schema", parts: Sequence[Path], part_bytes: int = PART_BYTES
) -> list[Path]:
    """Merge parts of one schema into as few as `part_bytes` allows; of equal keys the first stays.

    A part is deleted only when all its rows are in new parts on the disk, so that no row is lost
    whatever other processes write, read, merge or are killed meanwhile. Parts that are gone are
    skipped, damaged ones are left where they are. Returns the new parts.
    """
    written: list[Path] = []
    copied: list[Path] = []
    seen: set[bytes] = set()
    newest = 0.0

    def finish() -> None:
        written.extend(filter(None, [writer.finish(newest)]))
        with writing(folder):
            for part in copied:
                part.unlink(missing_ok=True)
        copied.clear()

    with PartWriter(folder, schema) as writer:
        for path in parts:
            try:
                modified = path.stat().st_mtime
                for rows in _unseen_rows(path, schema, seen):
                    if writer.size and writer.size + rows.nbytes > part_bytes:
                        finish()
                        newest = 0.0
                    newest = max(newest, modified)
                    writer.write(rows)
            except FileNotFoundError:
                continue
            except UnreadablePart as problem:
                logger.warning("%s It is left as it is.", problem)
                continue
            copied.append(path)
        finish()
    return written


def keys_of(raw: bytes) -> list[bytes]:
    """The keys of a row group, one by one."""
    return [raw[start : start + KEY_BYTES] for start in range(0, len(raw), KEY_BYTES)]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn errors of the file system into UserErrors that name the folder."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: the row store cannot be written ({error.strerror or error}); make the "
            "folder writable, make room on its disk, or set `store:` to another folder."
        ) from None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        # A file deleted by another machine is a stale handle on a network file system.
        if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ESTALE):
            raise FileNotFoundError(errno.ENOENT, "merged or pruned meanwhile", str(path)) from None
        raise UnreadablePart(f"{path}: not a readable part of the row store ({error}).") from None


def _unseen_rows(path: Path, schema: "pa.Schema", seen: set[bytes]) -> Iterator["pa.Table"]:
    """A part's rows, a row group at a time, without those whose keys were seen before."""
    with Part(path, schema) as part:
        for group in part.groups:
            fresh: dict[bytes, int] = {}
            for place, key in enumerate(keys_of(part.keys(group))):
                if key not in seen:
                    fresh.setdefault(key, place)
            if fresh:
                rows = part.rows(group, list(fresh.values()))
                seen.update(fresh)
                yield rows


def _columns(schema: "pa.Schema") -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema if field.name != "key")
