"""Values are looked up, computed where they are missing, and kept unless they are failures."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from wim.provenance.digest import digest_of
from wim.store.memo import Memo
from wim.store.rows import RowStore

SCHEMA = pa.schema([("length", pa.int32())])
KEYS = {name: digest_of(name) for name in ("pear", "fig", "plum")}


def memo(store: RowStore) -> Memo[str, int | None]:
    return Memo(
        store,
        value_of=lambda _, row: row["length"],
        row_of=lambda length: None if length is None else {"length": length},
    )


def lengths(names: list[str]) -> Iterator[tuple[str, int | None]]:
    yield from ((name, len(name)) for name in reversed(names))


def never(names: list[str]) -> Iterator[tuple[str, int | None]]:
    raise AssertionError(f"{names} would be computed again")


def test_what_was_computed_once_is_found_again_in_the_names_order(tmp_path: Path) -> None:
    with RowStore(tmp_path, SCHEMA) as store:
        first = memo(store)
        assert list(first.values(KEYS, lengths)) == [("plum", 4), ("fig", 3), ("pear", 4)]
        assert first.missing == set(KEYS)
    with RowStore(tmp_path, SCHEMA) as store:
        again = memo(store)
        assert list(again.values(KEYS, never)) == [("pear", 4), ("fig", 3), ("plum", 4)]
        assert again.missing == set()


def test_known_values_come_before_those_that_are_computed(tmp_path: Path) -> None:
    with RowStore(tmp_path, SCHEMA) as store:
        list(memo(store).values({"plum": KEYS["plum"]}, lengths))
        found = memo(store)
        assert [name for name, _ in found.values(KEYS, lengths)] == ["plum", "fig", "pear"]
        assert found.missing == {"pear", "fig"}


def test_a_failure_is_given_and_not_kept(tmp_path: Path) -> None:
    with RowStore(tmp_path, SCHEMA) as store:
        failed = memo(store).values(KEYS, lambda names: ((name, None) for name in names))
        assert dict(failed) == dict.fromkeys(KEYS)
        assert memo(store).known(KEYS) == {}


def test_what_was_computed_before_an_error_is_kept(tmp_path: Path) -> None:
    def failing(names: list[str]) -> Iterator[tuple[str, int | None]]:
        yield names[0], 4
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError), RowStore(tmp_path, SCHEMA) as store:
        list(memo(store).values(KEYS, failing))
    with RowStore(tmp_path, SCHEMA) as store:
        assert memo(store).known(KEYS) == {"pear": 4}
