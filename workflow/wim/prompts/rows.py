"""Rows of prompt files, which know their place in the file, and how errors show what they hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FOUND_CHARS = 60
FOUND_NAMES = 12

# The place of a row, and its values by column.
Placed = tuple[str, Mapping[str, object]]


@dataclass(frozen=True)
class SourceRow:
    """A row as its file has it: values by column, plain Python at every depth.

    `source` is the name of the file, without its folder. `place` is what errors name: `file:line`
    for JSON lines, `file, row n` (counted from 1, a header not counted) for the rest. A file in an
    archive or a folder is named `archive/file` there.
    """

    source: str
    place: str
    values: Mapping[str, object]


def found_text(value: object) -> str:
    """The beginning of a value, for an error: at most 60 characters of its repr."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= FOUND_CHARS else text[:FOUND_CHARS] + "..."


def found_names(names: Iterable[str]) -> str:
    """The first names of columns, for an error: as they are where they look like names."""
    shown = [
        name if name.isprintable() and 0 < len(name) <= FOUND_CHARS else found_text(name)
        for name in names
    ]
    more = len(shown) - FOUND_NAMES
    return ", ".join(shown[:FOUND_NAMES]) + (f" and {more} more" if more > 0 else "")


def repeated(names: Iterable[str]) -> str | None:
    """The first name that is there a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
