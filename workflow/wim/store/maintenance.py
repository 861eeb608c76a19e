"""Maintenance of a row store: what is in it, merging of parts, deletion of old rows.

All of it is safe while jobs read and write. A store is a folder with a folder per stage.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from wim.errors import UserError
from wim.store.parts import (
    KEY_BYTES,
    PART_BYTES,
    Part,
    UnreadablePart,
    is_part,
    list_files,
    merge,
    writing,
)

DAY = 86_400.0


@dataclass
class PartGroup:
    """The parts of one stage that have the same columns, in the order of their names."""

    schema: "pa.Schema"
    parts: list[Path] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    rows: int = 0
    keys: int = 0


@dataclass
class StageSurvey:
    """The contents of a stage's folder. `unreadable` says why of each damaged or foreign file."""

    stage: str
    groups: list[PartGroup]
    unreadable: list[str]

    @property
    def parts(self) -> int:
        return sum(len(group.parts) for group in self.groups)

    @property
    def bytes(self) -> int:
        """Bytes of the readable parts."""
        return sum(sum(group.bytes) for group in self.groups)

    @property
    def rows(self) -> int:
        return sum(group.rows for group in self.groups)

    @property
    def keys(self) -> int:
        """Distinct keys, counted separately for parts with different columns."""
        return sum(group.keys for group in self.groups)

    @property
    def duplicates(self) -> int:
        return self.rows - self.keys


def stages(store: Path, stage: str | None = None) -> list[Path]:
    """The folders of a store's stages, or of the one that is named.

    Raises UserError if there is no such store or stage.
    """
    if not store.is_dir():
        raise UserError(f"{store}: no such row store; write --store DIR.")
    found = sorted(path for path in store.iterdir() if path.is_dir() and path.name[0] != ".")
    if stage is None:
        return found
    if store / stage not in found:
        known = ", ".join(path.name for path in found) or "none"
        raise UserError(f"{store}: no stage '{stage}'; it has {known}.")
    return [store / stage]


def survey(folder: Path) -> StageSurvey:
    """The contents of a stage's folder. Reads only the keys of all parts, 32 bytes a row."""
    groups: dict[pa.Schema, PartGroup] = {}
    keys: dict[pa.Schema, list[bytes]] = {}
    unreadable: list[str] = []
    for path in list_files(folder):
        try:
            with Part(path) as part:
                found = [part.keys(number) for number in part.groups]
                size = path.stat().st_size
        except FileNotFoundError:
            continue
        except UnreadablePart as problem:
            unreadable.append(str(problem))
            continue
        group = groups.setdefault(part.schema, PartGroup(part.schema))
        group.parts.append(path)
        group.bytes.append(size)
        keys.setdefault(part.schema, []).extend(found)
    for schema, group in groups.items():
        joined = np.frombuffer(b"".join(keys.pop(schema)), dtype=f"S{KEY_BYTES}")
        group.rows, group.keys = len(joined), len(np.unique(joined))
    return StageSurvey(folder.name, list(groups.values()), unreadable)


def compact(folder: Path, part_bytes: int = PART_BYTES) -> None:
    """Merge a stage's parts into few of at most `part_bytes`, each key once.

    Without duplicates, parts of at least half that size are left alone, so that merging again
    costs little. Damaged and foreign files are kept; leftovers of killed writers are deleted.
    """
    for group in survey(folder).groups:
        duplicates = group.rows - group.keys
        parts = [
            path
            for path, size in zip(group.parts, group.bytes, strict=True)
            if duplicates or 2 * size < part_bytes
        ]
        if duplicates or len(parts) > 1:
            merge(folder, group.schema, parts, part_bytes)
    delete(leftovers(folder))


def older_parts(folder: Path, days: float) -> list[Path]:
    """A stage's parts, readable or not, that were last modified more than `days` days ago."""
    return list(_older([path for path in list_files(folder) if is_part(path)], days))


def leftovers(folder: Path) -> list[Path]:
    """Unfinished files of killed writers, a day old or more."""
    return list(_older(sorted(folder.glob(".part-*.partial")), 1.0))


def delete(paths: list[Path]) -> None:
    """Delete files, which others may delete too. Raises UserError where it is not allowed."""
    for path in paths:
        with writing(path.parent):
            path.unlink(missing_ok=True)


def _older(paths: list[Path], days: float) -> Iterator[Path]:
    limit = time.time() - days * DAY
    for path in paths:
        try:
            if path.stat().st_mtime < limit:
                yield path
        except FileNotFoundError:
            continue
