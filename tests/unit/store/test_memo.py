"""Values are looked up, computed where they are missing, and kept unless they are failures."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from wim.cluster import locks
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


def test_keys_are_looked_up_again_before_each_batch_is_computed(tmp_path: Path) -> None:
    given = []

    def computed(names: list[str]) -> Iterator[tuple[str, int | None]]:
        given.append(names)
        if names == ["pear"]:
            # Another job that wants other keys, of which one is also wanted here.
            with RowStore(tmp_path, SCHEMA) as other:
                other.add(KEYS["fig"], {"length": 30})
        return lengths(names)

    with RowStore(tmp_path, SCHEMA) as store:
        found = memo(store)
        values = list(found.values(KEYS, computed, batch=1))
    assert values == [("pear", 4), ("fig", 30), ("plum", 4)]
    assert given == [["pear"], ["plum"]]
    assert found.missing == {"pear", "plum"}


OTHER_JOB = """
import sys, time
from pathlib import Path
import pyarrow as pa
from wim.store.memo import Memo
from wim.store.rows import RowStore

def slowly(names):
    print("computing", flush=True)
    sys.stdin.readline()
    yield from ((name, len(name)) for name in names)

with RowStore(Path(sys.argv[1]), pa.schema([("length", pa.int32())])) as store:
    memo = Memo(store, lambda _, row: row["length"], lambda length: {"length": length})
    keys = dict(each.split("=") for each in sys.argv[2:])
    print(dict(memo.values(keys, slowly)), memo.missing, flush=True)
"""


def other_job(folder: Path, keys: dict[str, str]) -> "subprocess.Popen[str]":
    """A job that looks up or computes the values of some keys."""
    listed = [f"{name}={key}" for name, key in keys.items()]
    return subprocess.Popen(
        [sys.executable, "-c", OTHER_JOB, str(folder), *listed],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_of_two_jobs_that_want_the_same_rows_one_computes_and_the_other_finds_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wim")
    job = other_job(tmp_path, KEYS)
    assert job.stdout and job.stdout.readline() == "computing\n"
    # It goes on once it is waited for.
    assert job.stdin
    pause, answer = time.sleep, job.stdin

    def told(seconds: float) -> None:
        with suppress(BrokenPipeError):
            answer.write("\n")
            answer.flush()
        pause(seconds)

    with pytest.MonkeyPatch.context() as patched, RowStore(tmp_path, SCHEMA) as store:
        patched.setattr(locks.time, "sleep", told)
        found = memo(store)
        assert dict(found.values(KEYS, never)) == {"pear": 4, "fig": 3, "plum": 4}
        assert found.missing == set()
    job.wait(timeout=60)
    assert "another job is computing the same 3 rows" in caplog.text


@pytest.mark.parametrize("wanted", [["pear", "fig"], ["plum"]])
def test_a_job_that_wants_other_rows_does_not_wait(tmp_path: Path, wanted: list[str]) -> None:
    job = other_job(tmp_path, KEYS)
    assert job.stdout and job.stdout.readline() == "computing\n"
    keys = {name: KEYS[name] for name in wanted}
    with RowStore(tmp_path, SCHEMA) as store:
        assert set(dict(memo(store).values(keys, lengths))) == set(wanted)
    job.communicate("\n", timeout=60)


def test_a_killed_job_is_not_waited_for(tmp_path: Path) -> None:
    job = other_job(tmp_path, KEYS)
    assert job.stdout and job.stdout.readline() == "computing\n"
    job.kill()
    job.wait()
    with RowStore(tmp_path, SCHEMA) as store:
        found = memo(store)
        assert set(dict(found.values(KEYS, lengths))) == set(KEYS)
        assert found.missing == set(KEYS)


def test_rows_that_are_only_counted_wait_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wim.store.rows.turn", lambda *_: pytest.fail("it would wait"))
    with RowStore(tmp_path, SCHEMA, waits=False) as store:
        list(memo(store).values(KEYS, lambda names: ((name, None) for name in names)))
