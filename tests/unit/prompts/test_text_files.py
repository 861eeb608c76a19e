"""Text files: compressed or not, damaged or not, each key and each column once."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from support.prompt_files import demo_rows, ids, ingest, refusal, user, write_jsonl
from wim.provenance.digest import row_id

ROWS = [{"prompt": f"What is {n}?", "n": n} for n in range(1000)]


def as_jsonl(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_csv(rows: list[dict[str, object]]) -> str:
    return "prompt,n\n" + "".join(f'"{row["prompt"]}",{row["n"]}\n' for row in rows)


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content)


def zstandard(content: bytes) -> bytes:
    compressed: bytes = pa.compress(content, "zstd", asbytes=True)
    return compressed


FORMS = {".jsonl": as_jsonl, ".json": json.dumps, ".csv": as_csv}
COMPRESSED = {".gz": gzipped, ".zst": zstandard}


@pytest.mark.parametrize("ending", COMPRESSED)
@pytest.mark.parametrize("form", FORMS)
def test_a_compressed_file_is_read_like_what_is_in_it(
    form: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"p{form}{ending}"
    path.write_bytes(COMPRESSED[ending](FORMS[form](ROWS).encode()))
    rows = ingest(path)
    assert ids(rows) == {row_id([user(str(row["prompt"]))]) for row in ROWS}
    assert {row["source"] for row in rows} == {path.name}


@pytest.mark.parametrize("ending", COMPRESSED)
def test_a_file_may_be_compressed_in_several_pieces(ending: str, tmp_path: Path) -> None:
    halves = [as_jsonl(ROWS[:500]).encode(), as_jsonl(ROWS[500:]).encode()]
    (tmp_path / f"p.jsonl{ending}").write_bytes(b"".join(map(COMPRESSED[ending], halves)))
    assert len(ingest(tmp_path / f"p.jsonl{ending}")) == 1000


@pytest.mark.parametrize("ending", COMPRESSED)
@pytest.mark.parametrize("form", FORMS)
def test_a_compressed_file_that_is_damaged_is_named(form: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{form}{ending}"
    content = COMPRESSED[ending](FORMS[form](ROWS).encode())
    for damaged in (content[:-9], FORMS[form](ROWS).encode()):
        path.write_bytes(damaged)
        message = refusal(path)
        assert message.startswith(f"{path}: cannot be read after line ")
        assert message.endswith("; fetch it again.")


def test_a_flipped_bit_in_a_compressed_file_is_noticed(tmp_path: Path) -> None:
    content = bytearray(gzipped(as_jsonl(ROWS).encode()))
    content[-6] ^= 1  # Of the checksum.
    (tmp_path / "p.jsonl.gz").write_bytes(content)
    assert "cannot be read after line " in refusal(tmp_path / "p.jsonl.gz")


def test_errors_within_a_compressed_file_have_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzipped(b'{"prompt": "fine"}\n{"prompt": "caf\xe9"}\n'))
    assert f"{path}:2: not UTF-8: found the byte 0xe9 at byte offset 34" in refusal(path)
    path.write_bytes(gzipped(b""))
    assert f"{path}: found no rows" in refusal(path)


@pytest.mark.parametrize("name", ["p.parquet.gz", "p.txt.zst", "p.gz", "p.tar.zst"])
def test_what_is_not_read_compressed_is_answered_with_what_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzipped(b"x"))
    message = refusal(tmp_path / name)
    assert f"found the extension '{name[1:]}'" in message
    assert "or one of the first three and .gz or .zst" in message


# Names that are there twice


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "fine"}\n{"prompt": "Why?", "n": 1, "prompt": "Who?"}\n')
    message = refusal(path)
    assert f"{path}:2: found the key 'prompt' twice in one object" in message
    assert "rename one, or take it out." in message
    path.write_text('{"prompt": [{"role": "user", "content": "Why?", "content": "Who?"}]}\n')
    assert f"{path}:1: found the key 'content' twice in one object" in refusal(path)
    path = tmp_path / "p.json"
    path.write_text('[{"prompt": "Why?", "prompt": "Who?"}]')
    message = refusal(path)
    assert f"{path}: found the key 'prompt' twice in one object, {{'prompt': 'Who?'}}" in message


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("prompt,n,prompt\nWhy?,1,Who?\n")
    assert f"{path}: found two columns 'prompt' in the header; rename one" in refusal(path)
    path.write_text("prompt,,\nWhy?,,\n")
    assert f"{path}: found two columns '' in the header; rename one" in refusal(path)


# Odd, but well formed; and the other way round


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_csv_file_may_have_any_line_ends_and_keep_others_in_its_texts(
    end: str, tmp_path: Path
) -> None:
    lines = ["prompt,n", '"one\r\ntwo\rthree\nfour",1', "five,2", ""]
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xef\xbb\xbf" + end.join(lines).encode())
    texts = {row_id([user("one\ntwo\nthree\nfour")]), row_id([user("five")])}
    assert ids(ingest(path)) == texts


def test_a_csv_file_may_mix_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"prompt\r\none\ntwo\r\n\nthree\rfour")
    assert len(ingest(tmp_path / "p.csv")) == 4


def test_a_lone_quote_in_a_csv_file_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('prompt,n\nfine,1\n"Why "not"?",2\nfine too,3\n')
    assert f"{path}:3: not CSV (',' expected after '\"')" in refusal(path)
    path.write_text('prompt,n\nfine,1\n"Why,2\nfine too,3\n')
    assert "not CSV (unexpected end of data)" in refusal(path)
    # RFC 4180 has no word on a quote within a text without quotes; it is part of the text.
    path.write_text('prompt,n\nA 5" nail?,1\n')
    assert ids(ingest(path)) == {row_id([user('A 5" nail?')])}


NESTED: dict[str, Callable[[int], str]] = {
    "prompt": lambda depth: '{"prompt": ' + "[" * depth + "]" * depth + "}",
    "metadata": lambda depth: (
        '{"prompt": "Why?", "a": ' + '{"a":' * depth + "1" + "}" * depth + "}"
    ),
    "no object": lambda depth: "[" * depth + "]" * depth,
}


@pytest.mark.parametrize("depth", [300, 600, 940, 100_000])
@pytest.mark.parametrize("row", NESTED)
@pytest.mark.parametrize("name", ["p.jsonl", "p.json"])
def test_json_that_is_nested_deeply_is_read_or_named(
    row: str, depth: int, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    text = NESTED[row](depth)
    path.write_text(text if name == "p.jsonl" else f"[{text}]")
    if row == "metadata" and depth == 300:
        assert len(ingest(path)) == 1
    else:
        assert refusal(path).startswith(str(path))


@pytest.mark.parametrize("name", ["p.jsonl", "p.json"])
def test_a_number_of_too_many_digits_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    text = '{"prompt": "Why?", "n": ' + "9" * 5000 + "}"
    path.write_text(text if name == "p.jsonl" else f"[{text}]")
    message = refusal(path)
    assert message.startswith(str(path)) and "write it as a string" in message


def test_a_file_in_another_encoding_is_named_with_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes('{"prompt": "Why?"}'.encode("utf-16"))
    assert f"{path}:1: not UTF-8: found the byte 0xff at byte offset 0" in refusal(path)


def test_many_columns_are_shown_on_one_short_line(tmp_path: Path) -> None:
    row = {"two\nlines": 1} | {f"column {n} {'x' * 200}": n for n in range(50)}
    message = refusal(write_jsonl(tmp_path / "p.jsonl", [row]))
    assert "found the columns 'two\\nlines', 'column 0 xxx" in message
    assert "and 39 more, and none of them is prompt" in message


def test_the_demo_is_read_as_before(tmp_path: Path) -> None:
    rows = ingest(write_jsonl(tmp_path / "p.jsonl", demo_rows()))
    assert ids(rows) == {row_id([user(str(row["prompt"]))]) for row in demo_rows()}
