"""The store of finished rows: what was flushed is found, whoever writes, merges or is killed."""

import logging
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wim.store.parts
import wim.store.rows
from wim.cli import main
from wim.errors import UserError
from wim.provenance.digest import canonical_json, digest_of
from wim.store.maintenance import compact, survey
from wim.store.parts import PartWriter, list_files, merge
from wim.store.rows import RowStore

MESSAGES = pa.list_(pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())]))
SCHEMA = pa.schema(
    [
        pa.field("completion", pa.string(), nullable=False),
        pa.field("context", MESSAGES),
        pa.field("vector", pa.list_(pa.float32(), 3)),
        pa.field("rating", pa.float64()),
        pa.field("tokens", pa.int32()),
    ]
)
TEXT = pa.schema([pa.field("text", pa.string())])
WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
from wim.provenance.digest import digest_of
from wim.store.rows import RowStore

folder, first, last, flush_rows = Path(sys.argv[1]), *map(int, sys.argv[2:])
with RowStore(folder, pa.schema([pa.field("text", pa.string())]), flush_rows, 1e9) as store:
    for number in range(first, last):
        store.add(digest_of(number), {"text": f"text {number}"})
        print(number, flush=True)
"""


def key(number: int) -> str:
    return digest_of(number)


def keys(numbers: Iterable[int]) -> list[str]:
    return [key(number) for number in numbers]


def row(number: int) -> dict[str, object]:
    return {
        "completion": f"Déjà {number} 🌧",
        "context": [{"role": "user", "content": f"Weather {number}?"}],
        "vector": [float(number), 0.5, -1.0] if number % 2 else None,
        "rating": None if number % 3 else number / 4,
        "tokens": number,
    }


def fill(folder: Path, numbers: Iterable[int], parts: int = 1) -> list[Path]:
    """Store rows in so many parts; the new parts, by name."""
    before = set(folder.glob("*"))
    for part in range(parts):
        with RowStore(folder, SCHEMA) as store:
            for number in list(numbers)[part::parts]:
                store.add(key(number), row(number))
    return sorted(set(folder.glob("*")) - before)


def found(folder: Path, numbers: Iterable[int]) -> set[int]:
    """Which of the numbers' rows are in the store, each as it was added."""
    rows = RowStore(folder, SCHEMA).find(keys(numbers))
    assert all(rows[key(number)] == row(number) for number in numbers if key(number) in rows)
    return {number for number in numbers if key(number) in rows}


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_what_was_added_is_found_after_reopening(tmp_path: Path) -> None:
    fill(tmp_path, range(10))
    rows = RowStore(tmp_path, SCHEMA).find(keys([7, 3, 99]))
    assert rows == {key(7): row(7), key(3): row(3)}
    assert list(rows) == keys([7, 3])


def test_an_open_store_finds_its_own_rows(tmp_path: Path) -> None:
    with RowStore(tmp_path, SCHEMA) as store:
        store.add(key(1), row(1))
        assert store.find(keys([1])) == {key(1): row(1)}


def test_many_rows_come_as_an_arrow_table_in_the_order_of_their_keys(tmp_path: Path) -> None:
    fill(tmp_path, range(200), parts=3)
    table = RowStore(tmp_path, SCHEMA).find_table(set(keys(range(5, 300))))
    assert table.column("key").to_pylist() == sorted(keys(range(5, 200)))
    assert table.schema.names == ["key", *SCHEMA.names]
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 3)
    assert len(RowStore(tmp_path, SCHEMA).find_table([])) == 0


def test_numpy_vectors_are_stored_as_they_are(tmp_path: Path) -> None:
    vector = np.random.default_rng(0).standard_normal(3).astype(np.float32)
    with RowStore(tmp_path, SCHEMA) as store:
        store.add(key(0), {**row(0), "vector": vector})
    table = RowStore(tmp_path, SCHEMA).find_table(keys([0]))
    assert (table.column("vector").combine_chunks().flatten().to_numpy() == vector).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tokens": "many"}, "many"),
        ({"completion": None}, "completion"),
        ({"vector": [1.0, 2.0]}, "3"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_at_once_and_the_others_are_kept(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    with RowStore(tmp_path, SCHEMA) as store:
        store.add(key(1), row(1))
        with pytest.raises((ValueError, TypeError), match=message):
            store.add(key(2), {**row(2), **wrong})
    assert found(tmp_path, range(4)) == {1}


@pytest.mark.parametrize("wrong", ["", "ab", "g" * 64, "A" * 64, "a" * 63 + " ", "٣" * 64])
def test_a_key_of_another_form_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case hex digits"):
        RowStore(tmp_path, SCHEMA).add(wrong, row(1))


def test_rows_are_flushed_by_number_and_by_time(tmp_path: Path) -> None:
    by_number = RowStore(tmp_path / "number", SCHEMA, flush_rows=3, flush_seconds=1e9)
    by_time = RowStore(tmp_path / "time", SCHEMA, flush_rows=99, flush_seconds=0.0)
    for number in range(5):
        by_number.add(key(number), row(number))
        by_time.add(key(number), row(number))
    assert found(tmp_path / "number", range(5)) == {0, 1, 2}
    assert found(tmp_path / "time", range(5)) == set(range(5))


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_leaving_by_an_exception_flushes(tmp_path: Path, exception: type[BaseException]) -> None:
    with pytest.raises(exception), RowStore(tmp_path, SCHEMA) as store:
        store.add(key(1), row(1))
        raise exception
    assert found(tmp_path, range(3)) == {1}


def test_a_writer_merges_its_own_parts_and_nobody_elses(tmp_path: Path) -> None:
    foreign = fill(tmp_path, range(100, 110), parts=2)
    with RowStore(tmp_path, SCHEMA, flush_rows=4) as store:
        for number in range(50):
            store.add(key(number), row(number))
        assert len(list(tmp_path.iterdir())) > 10
    (own,) = set(tmp_path.iterdir()) - set(foreign)
    assert pq.read_metadata(own).num_rows == 50
    assert found(tmp_path, range(120)) == {*range(50), *range(100, 110)}


def test_a_killed_writer_loses_at_most_what_was_not_flushed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), "0", "100000", "10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        added = next(n for line in writer.stdout if (n := int(line)) >= 95)
        writer.send_signal(signal.SIGKILL)
        added = max([added, *map(int, writer.stdout)])
    rows = RowStore(tmp_path, TEXT).find(keys(range(added + 1)))
    assert set(keys(range((added + 1) // 10 * 10))) <= set(rows)
    assert rows[key(42)] == {"text": "text 42"}


def torn(part: Path, bytes_left: int) -> None:
    part.write_bytes(part.read_bytes()[:bytes_left])


def other_schema(part: Path) -> None:
    part.unlink()
    with RowStore(part.parent, TEXT) as store:
        store.add(key(1), {"text": "of another version"})


def flipped(part: Path) -> None:
    """A bit changed amid the keys, which neither footer nor compression shows."""
    content = bytearray(part.read_bytes())
    chunk = pq.read_metadata(part).row_group(0).column(0)
    content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 1
    part.write_bytes(content)


def not_parquet(part: Path) -> None:
    part.write_text("notes on the run\n" * 9)


def foreign_name(part: Path) -> None:
    part.rename(part.with_name("notes.txt"))


DAMAGES: dict[str, Callable[[Path], None]] = {
    **{f"torn-{left}": lambda part, left=left: torn(part, left) for left in (1, 4, 100, 500)},  # type: ignore[misc]
    "footer-torn": lambda part: torn(part, part.stat().st_size - 3),
    "empty": lambda part: torn(part, 0),
    "not-parquet": not_parquet,
    "keyless": lambda part: pq.write_table(pa.table({"text": ["a"]}), part),
    "other-schema": other_schema,
    "flipped": flipped,
    "foreign-name": foreign_name,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_an_unfit_file_is_passed_over_with_one_warning_that_names_it(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    good = fill(tmp_path, range(10))
    (bad,) = fill(tmp_path, range(10, 20))
    damage(bad)
    (bad,) = set(tmp_path.iterdir()) - set(good)
    store = RowStore(tmp_path, SCHEMA)
    for _ in range(2):
        assert set(store.find(keys(range(20)))) == set(keys(range(10)))
    warnings = [record.message for record in caplog.records]
    assert len(warnings) == 1 and str(bad) in warnings[0]
    # Nor does merging lose the good rows, or the file.
    fill(tmp_path, range(20, 30), parts=2)
    compact(tmp_path)
    assert found(tmp_path, range(30)) == {*range(10), *range(20, 30)}
    assert bad.exists()


def test_a_part_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with PartWriter(tmp_path, TEXT) as writer:
        writer.write(pa.table({"text": ["a" * 9 * 2**20]}))
        assert list_files(tmp_path) == [] and len(list(tmp_path.iterdir())) == 1
        part = writer.finish()
        assert list(tmp_path.iterdir()) == [part] == list_files(tmp_path)
        writer.write(pa.table({"text": ["a" * 9 * 2**20]}))
    # What was not finished leaves nothing behind.
    assert len(list(tmp_path.iterdir())) == 1


def test_leftovers_of_killed_writers_are_ignored_and_go_after_a_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, range(3))
    old, new = (tmp_path / f".part-{name}.partial" for name in ("old", "new"))
    old.write_bytes(b"PAR1 half a part")
    new.write_bytes(b"PAR1 half a part")
    age(old, 1.1)
    assert found(tmp_path, range(5)) == {0, 1, 2}
    assert not caplog.records
    compact(tmp_path)
    assert not old.exists() and new.exists()


def test_of_equal_keys_the_row_of_the_first_part_by_name_is_found(tmp_path: Path) -> None:
    for name, text in [("b", "second"), ("a", "first"), ("c", "third")]:
        with RowStore(tmp_path / "new", TEXT) as store:
            store.add(key(1), {"text": text})
        (part,) = (tmp_path / "new").iterdir()
        (tmp_path / "store").mkdir(exist_ok=True)
        part.rename(tmp_path / "store" / f"part-{name}.parquet")
    store = RowStore(tmp_path / "store", TEXT)
    assert store.find(keys([1])) == {key(1): {"text": "first"}}
    assert store.find_table(keys([1, 1])).column("text").to_pylist() == ["first"]


def test_a_folder_that_cannot_be_made_is_the_users_matter(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file/dialogues: .*`store:`"):
        RowStore(tmp_path / "file" / "dialogues", SCHEMA)


def test_a_full_disk_is_the_users_matter_and_leaves_the_store_whole(tmp_path: Path) -> None:
    fill(tmp_path, range(5))
    script = (
        "import os, resource, sys\n"
        "from pathlib import Path\n"
        "import pyarrow as pa\n"
        "from wim.errors import UserError\n"
        "from wim.store.rows import RowStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    with RowStore(Path(sys.argv[1]), pa.schema([('text', pa.string())])) as store:\n"
        "        store.add('a' * 64, {'text': os.urandom(50_000).hex()})\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert str(tmp_path) in ended.stdout and "`store:`" in ended.stdout
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]
    assert found(tmp_path, range(9)) == set(range(5))


def test_rows_lost_on_leaving_by_an_exception_are_told_and_the_exception_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "ratings"
    with pytest.raises(ZeroDivisionError), RowStore(folder, SCHEMA) as store:
        store.add(key(1), row(1))
        folder.rmdir()
        folder.write_text("in the way")
        raise ZeroDivisionError
    assert "1 finished rows are lost" in caplog.text and str(folder) in caplog.text


def test_four_writers_and_a_compaction_at_once_lose_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored = set(keys(range(100_000, 100_200)))
    for start in range(100_000, 100_200, 4):
        with RowStore(tmp_path, TEXT) as store:
            for number in range(start, start + 4):
                store.add(key(number), {"text": f"text {number}"})
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(first), str(first + 400), "5"],
            stdout=subprocess.DEVNULL,
        )
        for first in (0, 300, 600, 900)
    ]
    loop = "import sys, wim.store.maintenance as t, pathlib\nwhile True: t.compact(pathlib.Path(sys.argv[1]))"
    compaction = subprocess.Popen([sys.executable, "-c", loop, str(tmp_path)])
    reader = RowStore(tmp_path, TEXT)
    rounds = 0
    while any(writer.poll() is None for writer in writers):
        # What was once stored is seen at every moment.
        assert set(reader.find(stored)) == stored
        rounds += 1
    compaction.kill()
    compaction.wait()
    assert rounds > 3 and all(writer.returncode == 0 for writer in writers)
    rows = reader.find(keys(range(1300)))
    assert rows == {key(number): {"text": f"text {number}"} for number in range(1300)}
    assert not caplog.records
    compact(tmp_path)
    (after,) = survey(tmp_path).groups
    assert (after.rows, after.keys, len(after.parts)) == (1500, 1500, 1)


def test_rows_of_parts_merged_while_they_are_read_are_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, range(20), parts=4)
    merges = [1, 2]

    def list_then_merge(folder: Path) -> list[Path]:
        parts = list_files(folder)
        if merges:
            merges.pop()
            merge(folder, RowStore(folder, SCHEMA).schema, parts)
        return parts

    monkeypatch.setattr(wim.store.rows, "list_files", list_then_merge)
    assert found(tmp_path, range(30)) == set(range(20))


def test_compact_drops_duplicates_and_keeps_every_key(tmp_path: Path) -> None:
    parts = [*fill(tmp_path, range(50), parts=5), *fill(tmp_path, range(30, 80), parts=5)]
    for number, part in enumerate(parts):
        age(part, 10 + number)
    assert survey(tmp_path).duplicates == 20
    compact(tmp_path)
    after = survey(tmp_path)
    assert (after.rows, after.keys, after.parts) == (80, 80, 1)
    assert found(tmp_path, range(100)) == set(range(80))
    # The merged part is as old as its newest source.
    (part,) = tmp_path.iterdir()
    assert (time.time() - part.stat().st_mtime) / 86_400 == pytest.approx(10, abs=0.1)


def test_compact_bounds_the_size_of_parts_and_leaves_large_ones_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In proportion to the parts, so that kilobytes behave as megabytes do.
    monkeypatch.setattr(wim.store.parts, "GROUP_BYTES", 4000)
    noise = np.random.default_rng(0)
    for start in range(0, 120, 5):
        with RowStore(tmp_path, TEXT) as store:
            for number in range(start, start + 5):
                store.add(key(number), {"text": noise.bytes(2000).hex()})
    before = RowStore(tmp_path, TEXT).find(keys(range(120)))
    compact(tmp_path, part_bytes=100_000)
    parts = set(tmp_path.iterdir())
    assert 1 < len(parts) < 10
    assert all(part.stat().st_size <= 100_000 for part in parts)
    compact(tmp_path, part_bytes=100_000)
    assert set(tmp_path.iterdir()) == parts
    assert RowStore(tmp_path, TEXT).find(keys(range(120))) == before


def test_compact_keeps_versions_of_a_table_apart(tmp_path: Path) -> None:
    fill(tmp_path, range(10), parts=2)
    for _ in range(2):
        with RowStore(tmp_path, TEXT) as store:
            store.add(key(1), {"text": "of another version"})
    compact(tmp_path)
    assert survey(tmp_path).parts == 2
    assert found(tmp_path, range(20)) == set(range(10))
    assert RowStore(tmp_path, TEXT).find(keys([1])) == {key(1): {"text": "of another version"}}


def test_a_look_up_loads_keys_and_of_texts_only_the_wanted_row_groups(tmp_path: Path) -> None:
    size, count = 2**20, 32
    with RowStore(tmp_path, TEXT) as store:
        for number in range(count):
            store.add(key(number), {"text": chr(65 + number) * size})
    (part,) = tmp_path.iterdir()
    merge(tmp_path, store.schema, [part])
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    default = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        assert store.find(keys(range(count, 1000))) == {}
        assert pool.max_memory() < size / 10
        assert tracemalloc.get_traced_memory()[1] < size
        tracemalloc.reset_peak()
        assert store.find(keys([3])) == {key(3): {"text": "D" * size}}
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(default)


def test_row_groups_of_merged_parts_are_small_enough_to_be_read_alone(tmp_path: Path) -> None:
    with RowStore(tmp_path, TEXT, flush_rows=2) as store:
        for number in range(32):
            store.add(key(number), {"text": chr(65 + number) * 2**20})
    (part,) = tmp_path.iterdir()
    assert pq.read_metadata(part).num_row_groups == 4


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 2**40),
        st.fixed_dictionaries(
            {
                "completion": st.text(),
                "context": st.none()
                | st.lists(st.fixed_dictionaries({"role": st.text(), "content": st.text()})),
                "vector": st.none() | st.lists(st.floats(width=32), min_size=3, max_size=3),
                "rating": st.none() | st.floats(),
                "tokens": st.none() | st.integers(-(2**31), 2**31 - 1),
            }
        ),
        max_size=12,
    ),
    st.integers(1, 5),
)
def test_any_row_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[int, dict[str, object]], flush_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    with RowStore(folder, SCHEMA, flush_rows) as store:
        for number, values in rows.items():
            store.add(key(number), values)
    expected = {key(number): values for number, values in rows.items()}
    # As text, since NaN differs from itself.
    back = RowStore(folder, SCHEMA).find(list(expected))
    assert canonical_json(back) == canonical_json(expected)


def test_store_stats_counts_rows_duplicates_and_unreadable_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "dialogues", range(10), parts=2)
    fill(tmp_path / "dialogues", range(5, 12))
    (tmp_path / "dialogues" / "part-torn.parquet").write_bytes(b"PAR1")
    fill(tmp_path / "ratings", range(4))
    assert main(["store", "stats", "--store", str(tmp_path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["dialogues", "17", "12", "5", "3", "0.0", "1"] in lines
    assert ["ratings", "4", "4", "0", "1", "0.0", "0"] in lines
    assert any("part-torn.parquet:" in line[0] for line in lines if line)


def test_store_compact_tells_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "dialogues", range(10), parts=5)
    fill(tmp_path / "dialogues", range(3))
    assert main(["store", "compact", "--store", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "dialogues: 6 parts" in told and "10 keys, 3 duplicates dropped" in told


def test_store_prune_shows_and_deletes_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = fill(tmp_path / "dialogues", range(3))
    (new,) = fill(tmp_path / "dialogues", range(3, 5))
    (other,) = fill(tmp_path / "ratings", range(3))
    age(old, 31)
    age(new, 29)
    age(other, 31)
    command = ["store", "prune", "--store", str(tmp_path), "--older-than", "30"]
    assert main([*command, "--stage", "dialogues"]) == 0
    shown = capsys.readouterr().out
    assert str(old) in shown and str(new) not in shown and str(other) not in shown
    assert "--yes" in shown and old.exists()
    assert main([*command, "--stage", "dialogues", "--yes"]) == 0
    assert not old.exists() and new.exists() and other.exists()
    assert main([*command, "--yes"]) == 0
    assert not other.exists() and new.exists()


def test_store_prune_refuses_days_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ("soon", "-1", "nan"):
        with pytest.raises(SystemExit):
            main(["store", "prune", f"--older-than={wrong}"])
        assert f"found '{wrong}'; write a number of days" in capsys.readouterr().err


def test_a_store_or_stage_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "stats", "--store", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: no such row store" in capsys.readouterr().err
    fill(tmp_path / "dialogues", range(3))
    assert main(["store", "stats", "--store", str(tmp_path), "--stage", "dialogue"]) == 1
    assert "no stage 'dialogue'; it has dialogues" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("store: shared/store\n", "shared/store"),
        ("seed: 1\n", "store"),
        ("store: [\n", "store"),
        ("", "store"),
        (None, "store"),
    ],
)
def test_the_store_is_the_configurations_unless_told_otherwise(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    config: str | None,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(Path(expected) / "dialogues", range(3))
    if config is not None:
        Path("config").mkdir()
        Path("config/config.yaml").write_text(config)
    assert main(["store", "stats"]) == 0
    assert f"store: {expected}\n" in capsys.readouterr().out


def test_the_command_starts_without_heavy_imports() -> None:
    script = (
        "import sys, wim.cli; assert not {'pyarrow', 'numpy', 'torch', 'yaml'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_merge_that_fails_on_closing_is_told_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise UserError("no room.")

    monkeypatch.setattr(wim.store.rows, "merge", full)
    with caplog.at_level(logging.WARNING), RowStore(tmp_path, SCHEMA, flush_rows=1) as store:
        for number in range(3):
            store.add(key(number), row(number))
    assert "no room." in caplog.text
    assert found(tmp_path, range(9)) == {0, 1, 2}


@pytest.mark.parametrize("name", ["", "part-x.parquet", "notes"])
def test_a_link_to_itself_is_refused_by_name(tmp_path: Path, name: str) -> None:
    link = tmp_path / "stage" / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(link)
    with (
        pytest.raises(UserError, match=f"{link}: the row store cannot be"),
        RowStore(tmp_path / "stage", SCHEMA) as store,
    ):
        store.find([digest_of("a")])
