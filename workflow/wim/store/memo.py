"""Looks values up in a row store, and computes and keeps those that it lacks."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
        missing: The names that the store lacked when they were looked up.
    """

    store: "RowStore"
    value_of: Callable[[Name, Row], Value]
    row_of: Callable[[Value], Row | None]
    missing: set[Name] = field(default_factory=set)

    def known(self, keys: Mapping[Name, str]) -> dict[Name, Value]:
        """The values that the store has, in the order of their names.

        Args:
            keys: The key in the store of each name.
        """
        rows = self.store.find(set(keys.values()))
        return {name: self.value_of(name, rows[key]) for name, key in keys.items() if key in rows}

    def values(
        self,
        keys: Mapping[Name, str],
        compute: Callable[[list[Name]], Iterable[tuple[Name, Value]]],
    ) -> Iterator[tuple[Name, Value]]:
        """The name and value of each: first those that the store has, then those computed.

        Args:
            keys: The key in the store of each name.
            compute: Given the names that the store lacks, in their order, it gives their values,
                each of which is kept as it comes. It is not called if there are none.
        """
        known = self.known(keys)
        yield from known.items()
        missing = [name for name in keys if name not in known]
        if not missing:
            return
        self.missing.update(missing)
        for name, value in compute(missing):
            row = self.row_of(value)
            if row is not None:
                self.store.add(keys[name], row)
            yield name, value
