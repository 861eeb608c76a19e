"""Parquet files and saved data sets: damaged ones are named, and so are two columns of one name."""

import random
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.prompt_files import refusal
from wim.errors import UserError
from wim.prompts.readers import read_rows

ROWS = [f"What is {number}?" for number in range(2000)]


def plain(path: Path, table: pa.Table, **options: object) -> Path:
    """A Parquet file of plain pages, in which a text stands as it is."""
    pq.write_table(table, path, compression="none", use_dictionary=False, **options)
    return path


def damage(path: Path, found: bytes, written: bytes) -> None:
    content = path.read_bytes()
    assert content.count(found) == 1 and len(found) == len(written)
    path.write_bytes(content.replace(found, written))


def test_a_damaged_page_is_named_with_the_rows_before_it(tmp_path: Path) -> None:
    table = pa.table({"prompt": ROWS})
    path = tmp_path / "p.parquet"
    pq.write_table(table, path, compression="zstd", row_group_size=500, use_dictionary=False)
    place = pq.ParquetFile(path).metadata.row_group(2).column(0)
    content = bytearray(path.read_bytes())
    middle = place.data_page_offset + place.total_compressed_size // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"{path}: damaged after row 1000 (")
    assert message.endswith("fetch or write it again.")


def test_a_page_whose_checksum_is_wrong_is_not_read(tmp_path: Path) -> None:
    path = plain(tmp_path / "p.parquet", pa.table({"prompt": ROWS}), write_page_checksum=True)
    damage(path, b"What is 7?", b"What is 8?")
    assert f"{path}: damaged after row 0 (" in refusal(path)


def test_bytes_that_are_not_utf8_are_named_by_row_and_column(tmp_path: Path) -> None:
    path = plain(tmp_path / "p.parquet", pa.table({"prompt": ROWS, "more": ROWS[::-1]}))
    content = path.read_bytes()
    place = content.index(b"What is 7?")
    path.write_bytes(content[:place] + b"What \xe9s 7?" + content[place + 10 :])
    message = refusal(path)
    assert f"{path}, row 8: column 'prompt': not UTF-8: found the byte 0xe9 at byte off" in message
    assert "offset 5 of a text; write the file again as UTF-8." in message


def test_a_damaged_name_of_a_column_is_said_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"prompt": ROWS, "metacolumn": ROWS}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"metacolumn", b"meta\xe9olumn"))
    message = refusal(path)
    assert message.startswith(f"{path}: ") and "fetch or write it again" in message


def test_a_value_that_python_has_not_is_named_by_row_and_column(tmp_path: Path) -> None:
    far = pa.array([0, 2**62], pa.timestamp("us"))
    pq.write_table(pa.table({"prompt": ["Why?", "Who?"], "at": far}), tmp_path / "p.parquet")
    message = refusal(tmp_path / "p.parquet")
    assert "p.parquet, row 2: column 'at': not readable (" in message
    assert "take it out, or write it as a string" in message


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_file_that_is_no_parquet_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(content)
    assert "p.parquet: not a readable Parquet file (" in refusal(tmp_path / "p.parquet")


def structs(names: Sequence[str]) -> pa.Array:
    return pa.StructArray.from_arrays([pa.array(["user"])] * len(names), names=names)


@pytest.mark.parametrize(
    ("columns", "names", "said"),
    [
        ([pa.array(["Why?"])] * 2, ["prompt", "prompt"], "found two columns 'prompt'; rename one"),
        (
            [structs(["role", "content", "role"])],
            ["prompt"],
            "found two fields 'role' of the column 'prompt'; rename one",
        ),
        (
            [pa.ListArray.from_arrays([0, 1], structs(["role", "role"]))],
            ["messages"],
            "found two fields 'role' of the column 'messages'",
        ),
    ],
)
def test_a_name_that_is_there_twice_is_refused(
    columns: list[pa.Array], names: list[str], said: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table(columns, names=names), tmp_path / "p.parquet")
    assert f"{tmp_path / 'p.parquet'}: {said}" in refusal(tmp_path / "p.parquet")


def saved(folder: Path) -> Path:
    import datasets

    datasets.Dataset.from_dict({"prompt": ROWS}).save_to_disk(folder)
    return folder


def test_a_damaged_folder_of_datasets_is_named(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole")
    for case, change in {
        "cut": lambda arrow: arrow.write_bytes(arrow.read_bytes()[:9000]),
        "empty": lambda arrow: arrow.write_bytes(b""),
        "gone": lambda arrow: arrow.unlink(),
        "state": lambda arrow: (arrow.parent / "state.json").write_text("{}"),
        "list": lambda arrow: (arrow.parent / "state.json").write_text("[]"),
    }.items():
        folder = Path(shutil.copytree(whole, tmp_path / case))
        change(next(folder.glob("*.arrow")))
        message = refusal(folder)
        assert message.startswith(f"{folder}: ") and "fetch or write it again" in message


def test_a_saved_folder_whose_texts_lie_outside_of_it_is_named_and_not_followed(
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path / "saved")
    ends = [struct.pack("<4i", *place) for place in ((0, 10, 20, 30), (0, 10, 2**30, -9))]
    damage(next(folder.glob("*.arrow")), *ends)
    assert f"{folder}: damaged after row 0 (" in refusal(folder)


def test_nested_bytes_that_are_not_utf8_are_named_by_row_and_column(tmp_path: Path) -> None:
    turns = [[{"role": "user", "content": text}] for text in ROWS]
    path = plain(tmp_path / "p.parquet", pa.table({"messages": turns}))
    content = path.read_bytes()
    place = content.index(b"What is 7?")
    path.write_bytes(content[:place] + b"What \xe9s 7?" + content[place + 10 :])
    assert f"{path}, row 8: column 'messages': not UTF-8: found the byte 0xe9" in refusal(path)


def test_bytes_that_are_not_utf8_in_a_saved_folder_are_named_by_row(tmp_path: Path) -> None:
    folder = saved(tmp_path / "saved")
    damage(next(folder.glob("*.arrow")), b"What is 7?", b"What \xe9s 7?")
    assert f"{folder}, row 8: column 'prompt': not UTF-8" in refusal(folder)


@pytest.mark.parametrize("kind", ["Parquet", "datasets"])
def test_a_file_with_any_bytes_changed_is_read_or_named(kind: str, tmp_path: Path) -> None:
    texts = ROWS[:200]
    turns = [[{"role": "user", "content": text}] for text in texts]
    table = pa.table({"prompt": texts, "messages": turns, "n": range(len(texts))})
    if kind == "Parquet":
        file = plain(tmp_path / "p.parquet", table, row_group_size=50)
        source = file
    else:
        import datasets

        source = tmp_path / "saved"
        datasets.Dataset(table).save_to_disk(source)
        file = next(source.glob("*.arrow"))
    whole = file.read_bytes()
    draw = random.Random(0)
    refused = 0
    for _ in range(60):
        changed = bytearray(whole)
        for place in draw.sample(range(len(whole)), draw.choice([1, 3, 20])):
            changed[place] = draw.randrange(256)
        file.write_bytes(changed)
        try:
            list(read_rows(str(source)))
        except UserError as error:
            refused += 1
            assert str(source) in str(error) and "\n" not in str(error)
    assert 0 < refused < 60
