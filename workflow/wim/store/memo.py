"""Looks values up in a row store, and computes and keeps those that it lacks."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from wim.store.rows import RowStore

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Memo(Generic[Name, Value]):
    """Values that are computed once and then found in a row store.

    Attributes:
        store: The opened store.
        value_of: The value of a name that a stored row holds.
        row_of: The row that holds a value; None for a failure, which is not stored.
        missing: The names that the store lacked, which were computed.
    """

    store: "RowStore"
    value_of: Callable[[Name, Row], Value]
    row_of: Callable[[Value], Row | None]
    missing: set[Name] = field(default_factory=set)

    def known(
        self, keys: Mapping[Name, str], since: frozenset[Path] | None = None
    ) -> dict[Name, Value]:
        """The values that the store has, in the order of their names.

        Args:
            keys: The key in the store of each name.
            since: A former listing of the store; only what others have added to it is searched.
        """
        rows = self.store.find(set(keys.values()), since)
        return {name: self.value_of(name, rows[key]) for name, key in keys.items() if key in rows}

    def values(
        self,
        keys: Mapping[Name, str],
        compute: Callable[[list[Name]], Iterable[tuple[Name, Value]]],
        batch: int | None = None,
    ) -> Iterator[tuple[Name, Value]]:
        """The name and value of each: first those that the store has, then those computed.

        Another job that computes the same names is waited for. Before names are computed, they are
        looked up once more.

        Args:
            keys: The key in the store of each name.
            compute: Given names that the store lacks, in their order, it gives their values, each
                of which is kept as it comes. It is not called if there are none.
            batch: How many names it is given at once at most; None for all.
        """
        listed = self.store.listing()
        known = self.known(keys)
        yield from known.items()
        lacking = {name: key for name, key in keys.items() if name not in known}
        if not lacking:
            return
        with self.store.alone(keys.values()):
            for some in _batches(list(lacking), batch or len(lacking)):
                found = self.known({name: lacking[name] for name in some}, since=listed)
                yield from found.items()
                missing = [name for name in some if name not in found]
                if missing:
                    yield from self._computed(missing, lacking, compute)

    def _computed(
        self,
        missing: list[Name],
        keys: Mapping[Name, str],
        compute: Callable[[list[Name]], Iterable[tuple[Name, Value]]],
    ) -> Iterator[tuple[Name, Value]]:
        self.missing.update(missing)
        for name, value in compute(missing):
            row = self.row_of(value)
            if row is not None:
                self.store.add(keys[name], row)
            yield name, value


def _batches(names: list[Name], size: int) -> Iterator[list[Name]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
