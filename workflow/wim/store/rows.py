"""An append-only store of finished rows, so that no row is computed twice.

A stage keeps its rows in a folder of its own, as Parquet parts (`part-<uuid>.parquet`), under
keys that the caller makes of everything that decides a row (see `wim.provenance.digest.digest_of`).
Any number of jobs on any number of machines may read and write a folder at once, without locks.
Those that want the same rows wait for each other, where the file system has locks.
"""

import hashlib
import logging
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from wim.cluster.locks import turn
from wim.cluster.requeue import work_was_kept
from wim.errors import UserError
from wim.store.parts import (
    KEY,
    KEY_BYTES,
    Part,
    PartWriter,
    UnreadablePart,
    keys_of,
    list_files,
    merge,
    writing,
)

logger = logging.getLogger(__name__)

# Others may merge parts while they are read here; each new listing finds the merged ones.
LISTINGS = 5
_KEY_TEXT = re.compile(r"[0-9a-f]{64}", re.ASCII)


class RowStore:
    """The finished rows of one stage. One thread at a time.

    Rows are flushed when `flush_rows` are waiting, or by the first `add` that comes
    `flush_seconds` after the last flush, and on leaving the `with` block, also by an
    exception; without an exception the parts written in it are merged. Only finished rows belong
    here: the caller leaves failed attempts out.
    """

    def __init__(
        self,
        folder: Path,
        schema: "pa.Schema",
        flush_rows: int = 64,
        flush_seconds: float = 30.0,
        waits: bool = True,
    ) -> None:
        """Open a stage's folder, created if missing, for rows of a schema (without the key).

        Args:
            folder: The folder.
            schema: The columns of a row, without the key.
            flush_rows: Rows that wait for a flush at most.
            flush_seconds: The time between two flushes.
            waits: Whether `alone` waits for other jobs; not if nothing is to be computed.

        Raises:
            UserError: The folder cannot be created or written.
        """
        if KEY.name in schema.names:
            raise ValueError(f"a column of a stored row cannot be named '{KEY.name}'")
        self.folder = Path(folder)
        self.schema = schema.remove_metadata().insert(0, KEY)
        self.flush_rows = flush_rows
        self.flush_seconds = flush_seconds
        self.waits = waits
        self._waiting: list[pa.RecordBatch] = []
        self._flushed = time.monotonic()
        self._own_parts: list[Path] = []
        self._warned: set[Path] = set()
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(0, "no permission to write")

    @contextmanager
    def alone(self, keys: Collection[str]) -> Iterator[None]:
        """Compute the rows of some keys while other jobs that want the same keys wait.

        They then find what was computed here. Two jobs may still compute the same row if they want
        it among different keys, or if the file system has no locks (see wim.cluster.locks).
        """
        if not self.waits:
            yield
            return
        name = hashlib.sha256("".join(sorted(keys)).encode()).hexdigest()
        what = f"is computing the same {len(keys)} rows ({self.folder.name})"
        with turn(self.folder, name, what, lambda: list_files(self.folder)):
            try:
                yield
            finally:
                # The rows keep waiting if this fails, and the next flush says why.
                with suppress(UserError):
                    self.flush()

    def listing(self) -> frozenset[Path]:
        """The files of the folder as it is now."""
        return frozenset(list_files(self.folder))

    def find(
        self, keys: Collection[str], since: frozenset[Path] | None = None
    ) -> dict[str, dict[str, object]]:
        """The rows of those keys that are in the store, by key, in the keys' order.

        Vectors are lists; `find_table` keeps them in Arrow.

        Args:
            keys: The keys.
            since: A former listing; only what other jobs have added to it is searched.
        """
        rows = {}
        for table in self._found(keys, since):
            for key, row in zip(
                table.column("key"), table.drop_columns("key").to_pylist(), strict=True
            ):
                rows[key.as_py().hex()] = row
        return {key: rows[key] for key in keys if key in rows}

    def find_table(self, keys: Collection[str]) -> "pa.Table":
        """The rows of those keys that are in the store: key (hex digits) and columns, by key."""
        found = pa.concat_tables([self.schema.empty_table(), *self._found(keys)])
        hexadecimal = pa.array([key.hex() for key in found.column("key").to_pylist()], pa.string())
        found = found.set_column(0, pa.field("key", pa.string(), nullable=False), hexadecimal)
        return found.sort_by("key")

    def add(self, key: str, row: Mapping[str, object]) -> None:
        """Store a row under its key (64 lower-case hex digits).

        Raises ValueError or TypeError, at once and storing nothing, if the row does not fit
        the schema.
        """
        if set(row) != set(self.schema.names[1:]):
            raise ValueError(f"found the columns {sorted(row)}; expected {self.schema.names[1:]}")
        values = {"key": _key_bytes(key), **row}
        batch = pa.RecordBatch.from_pylist([values], schema=self.schema)
        for field, column in zip(self.schema, batch.columns, strict=True):
            if column.null_count and not field.nullable:
                raise ValueError(f"found no value for the column '{field.name}', which needs one")
        self._waiting.append(batch)
        late = time.monotonic() - self._flushed >= self.flush_seconds
        if late or len(self._waiting) >= self.flush_rows:
            self.flush()

    def flush(self) -> None:
        """Write all added rows to the disk. Raises UserError if the folder cannot be written."""
        if self._waiting:
            with PartWriter(self.folder, self.schema) as writer:
                writer.write(pa.Table.from_batches(self._waiting))
                part = writer.finish()
            self._waiting.clear()
            self._own_parts += [part] if part else []
            work_was_kept()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush, and merge the parts that this store has written into one."""
        self.flush()
        if len(self._own_parts) > 1:
            try:
                merge(self.folder, self.schema, self._own_parts)
            except UserError as problem:
                # The rows are safe as they are.
                logger.warning("%s The parts stay unmerged.", problem)
        self._own_parts.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            # A job that is being stopped has no time to merge.
            self.flush()
        except UserError as problem:
            logger.error("%s %d finished rows are lost.", problem, len(self._waiting))

    def _found(
        self, keys: Collection[str], since: frozenset[Path] | None = None
    ) -> Iterator["pa.Table"]:
        """The rows of wanted keys, each once: of equal keys, that of the first part by name.

        The keys of every part are read, and the other columns only of row groups with a wanted
        row. Ends when all are found or a listing has no new part.
        """
        self.flush()
        wanted = _Wanted(keys)
        read = set() if since is None else {*since, *self._own_parts}
        for _ in range(LISTINGS):
            fresh = [path for path in list_files(self.folder) if path not in read]
            read.update(fresh)
            for path in fresh if wanted.keys else []:
                try:
                    yield from self._found_in(path, wanted)
                except FileNotFoundError:
                    continue
                except UnreadablePart as problem:
                    if path not in self._warned:
                        logger.warning("%s It is passed over.", problem)
                    self._warned.add(path)
            if not fresh or not wanted.keys:
                return

    def _found_in(self, path: Path, wanted: "_Wanted") -> Iterator["pa.Table"]:
        with Part(path, self.schema) as part:
            for group in part.groups:
                places = wanted.places(part.keys(group))
                if places:
                    rows = part.rows(group, list(places.values()))
                    wanted.keys.difference_update(places)
                    yield rows


class _Wanted:
    """The keys still to be found, and their positions in a row group."""

    def __init__(self, keys: Collection[str]) -> None:
        self.keys = {_key_bytes(key) for key in keys}
        self._words = np.unique(_first_words(b"".join(self.keys)))

    def places(self, raw: bytes) -> dict[bytes, int]:
        """The wanted keys among concatenated keys, each with its first index."""
        if not self.keys or not raw:
            return {}
        words = _first_words(raw)
        nearest = np.searchsorted(self._words, words).clip(max=len(self._words) - 1)
        places: dict[bytes, int] = {}
        for place in np.flatnonzero(self._words[nearest] == words).tolist():
            (key,) = keys_of(raw[place * KEY_BYTES : (place + 1) * KEY_BYTES])
            if key in self.keys:
                places.setdefault(key, place)
        return places


def _first_words(raw: bytes) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """The first 8 bytes of each key, as numbers."""
    return np.frombuffer(raw, dtype=np.uint64)[:: KEY_BYTES // 8]


def _key_bytes(key: str) -> bytes:
    if not _KEY_TEXT.fullmatch(key):
        raise ValueError(f"found the key {key!r}; expected 64 lower-case hex digits")
    return bytes.fromhex(key)
