"""Prompts of any format and shape become one table whose rows depend on content alone."""

import csv
import json
import logging
import random
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.prompt_files import (
    Row,
    answer,
    demo_rows,
    ids,
    ingest,
    ingest_row,
    ingested_bytes,
    open_data,
    refusal,
    row_refusal,
    settings_for,
    user,
    write_jsonl,
)
from wim.errors import UserError
from wim.prompts.ingest import ingest_prompts, shard_prompts
from wim.prompts.messages import clean_text
from wim.prompts.splits import shard_of, share_of
from wim.provenance.digest import row_id
from wim.tables.files import read_table
from wim.tables.schemas import PROMPTS

# Formats


def save_jsonl(folder: Path, rows: list[Row]) -> Path:
    return write_jsonl(folder / "p.jsonl", rows)


def save_json(folder: Path, rows: list[Row]) -> Path:
    path = folder / "p.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def save_json_under_data(folder: Path, rows: list[Row]) -> Path:
    path = folder / "d.json"
    path.write_text(json.dumps({"version": 1, "data": rows}), encoding="utf-8")
    return path


def save_csv(folder: Path, rows: list[Row]) -> Path:
    path = folder / "p.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def save_parquet(folder: Path, rows: list[Row]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), folder / "p.parquet")
    return folder / "p.parquet"


def save_dataset(folder: Path, rows: list[Row]) -> Path:
    import datasets

    datasets.Dataset.from_list(rows).save_to_disk(folder / "dataset")
    return folder / "dataset"


FORMATS = [
    save_jsonl,
    save_json,
    save_json_under_data,
    save_csv,
    save_parquet,
    save_dataset,
]
TRICKY = [
    {"prompt": 'Two\nlines, a comma and a "quote"', "category": "csv"},
    {"prompt": "A line separator\u2028inside a string", "category": "unicode"},
    {"prompt": "\U0001f600 and \u00e9", "category": "unicode"},
]


@pytest.mark.parametrize("save", FORMATS)
def test_every_format_gives_the_same_prompts(
    save: Callable[[Path, list[Row]], Path], tmp_path: Path
) -> None:
    expected = ingest(write_jsonl(tmp_path / "as.jsonl", [*demo_rows(), *TRICKY]))
    path = save(tmp_path, [*demo_rows(), *TRICKY])
    rows = ingest(path)
    assert len(rows) == 99
    assert {row["source"] for row in rows} == {path.name}
    assert [row | {"source": ""} for row in rows] == [row | {"source": ""} for row in expected]


CHAT = {"messages": [user("Hi there"), answer("Hello."), user("Bye")], "n": 1}


@pytest.mark.parametrize("save", [save_jsonl, save_json, save_parquet, save_dataset])
def test_a_conversation_is_the_same_in_every_format_that_can_hold_one(
    save: Callable[[Path, list[Row]], Path], tmp_path: Path
) -> None:
    (row,) = ingest(save(tmp_path, [CHAT]))
    assert row["messages"] == [user("Hi there")]
    assert (row["reference"], row["metadata"]) == ("Hello.", '{"n":1}')


def test_parquet_written_by_pandas_from_arrays_reads_as_the_lists_it_came_from(
    tmp_path: Path,
) -> None:
    import numpy as np

    frame = pd.DataFrame({"prompt": [np.array([user("Hi there")]), np.array([user("Bye now")])]})
    frame.index = pd.Index([7, 3])  # No range, so that pandas stores it as a column.
    frame.to_parquet(tmp_path / "p.parquet")
    rows = ingest(tmp_path / "p.parquet")
    assert ids(rows) == {row_id([user("Hi there")]), row_id([user("Bye now")])}
    assert [row["metadata"] for row in rows] == [None, None]


def test_messages_stored_as_a_struct_of_lists_are_read(tmp_path: Path) -> None:
    row = ingest_row(tmp_path, {"prompt": {"role": ["system", "user"], "content": ["Be", "Hi!"]}})
    assert row["messages"] == [{"role": "system", "content": "Be"}, user("Hi!")]


def test_a_byte_order_mark_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "one"}\r\n\r\n  \n{"prompt": "two"}')
    assert ids(ingest(path)) == {row_id([user("one")]), row_id([user("two")])}


def test_a_csv_prompt_may_be_longer_than_the_csv_modules_own_limit(tmp_path: Path) -> None:
    path = save_csv(tmp_path, [{"prompt": "x" * 200_000}])
    assert len(ingest(path, max_chars=300_000)) == 1


def test_open_instructions_are_read_from_their_own_column(tmp_path: Path) -> None:
    for name in (
        "self_instruct/seed_tasks.jsonl",
        "self_instruct/user_oriented_instructions.jsonl",
    ):
        path = open_data(name)
        texts = [
            json.loads(line)["instruction"] for line in path.read_text("utf-8").split("\n") if line
        ]
        output = tmp_path / "prompts.parquet"
        ingest_prompts(settings_for(path), output)
        expected = {row_id([user(clean_text(text))]) for text in texts}
        assert ids(read_table(output, PROMPTS).to_pylist()) == expected


def test_a_list_of_turns_is_refused_rather_than_guessed_at() -> None:
    path = open_data("fastchat_judge/mt_bench_question.jsonl")
    with pytest.raises(UserError, match="message 1: found 'Compose an"):
        ingest_prompts(settings_for(path, column="turns"), Path("never"))


# Shapes


def test_the_shapes_of_one_prompt_have_one_id(tmp_path: Path) -> None:
    shapes: list[Row] = [
        {"prompt": "Why?"},
        {"instruction": "Why?"},
        {"messages": [user("Why?")]},
        {"prompt": [user("Why?")]},
        {"prompt": [user("Why?"), answer("So.")]},
        {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]},
        {"conversations": [{"from": "user", "value": " Why?\r\n"}]},
        {"messages": [{"role": "system", "content": " "}, user("Why?")]},
        {"prompt": None, "messages": [user("Why?")]},
    ]
    for shape in shapes:
        row = ingest_row(tmp_path, shape)
        assert row["prompt_id"] == row_id([user("Why?")]), shape
        assert row["messages"] == [user("Why?")]


def test_the_first_answer_is_the_reference_and_later_turns_are_not_used(tmp_path: Path) -> None:
    turns = [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Why?"},
        {"from": "gpt", "value": "So."},
        {"from": "human", "value": "And then?"},
    ]
    row = ingest_row(tmp_path, {"conversations": turns})
    assert row["messages"] == [{"role": "system", "content": "Be brief."}, user("Why?")]
    assert row["reference"] == "So."


def test_an_answer_without_text_is_no_reference(tmp_path: Path) -> None:
    assert ingest_row(tmp_path, {"messages": [user("Why?"), answer(" ")]})["reference"] is None


def test_a_conversational_prompt_that_ends_with_the_user_is_kept_whole(tmp_path: Path) -> None:
    turns = [user("Why?"), answer("So."), user("And then?")]
    row = ingest_row(tmp_path, {"prompt": turns})
    assert (row["messages"], row["reference"]) == (turns, None)
    row = ingest_row(tmp_path, {"messages": turns})
    assert (row["messages"], row["reference"]) == ([user("Why?")], "So.")


def test_a_reference_column_takes_the_place_of_the_first_answer(tmp_path: Path) -> None:
    chat = {"messages": [user("Why?"), answer("So.")], "gold": " Because.\r\n", "n": 1}
    row = ingest_row(tmp_path, chat, reference_column="gold")
    assert (row["reference"], row["metadata"]) == ("Because.", '{"n":1}')
    assert ingest_row(tmp_path, chat | {"gold": None}, reference_column="gold")["reference"] is None


def test_a_named_column_wins_over_the_usual_ones(tmp_path: Path) -> None:
    row = ingest_row(tmp_path, {"prompt": "not this", "question": "this one"}, column="question")
    assert row["messages"] == [user("this one")]
    assert row["metadata"] == '{"prompt":"not this"}'


def test_the_other_columns_become_metadata_that_is_json_and_leaves_the_id(tmp_path: Path) -> None:
    plain = ingest_row(tmp_path, {"prompt": "Why?"})
    pq.write_table(
        pa.table({"prompt": ["Why?"], "b": [float("nan")], "a": [pd.Timestamp("2024-01-02")]}),
        tmp_path / "p.parquet",
    )
    (row,) = ingest(tmp_path / "p.parquet")
    assert plain["metadata"] is None
    assert row["metadata"] == '{"a":"2024-01-02 00:00:00"}'
    assert row["prompt_id"] == plain["prompt_id"]


# Normalisation


TROUBLE = st.text("\r\n\0 e\u0301\ud800\u2028", min_size=3)


@given(TROUBLE | st.text(st.characters(exclude_categories=[])))
def test_clean_text_is_clean_and_cleaning_it_again_changes_nothing(text: str) -> None:
    clean = clean_text(text)
    assert clean == clean_text(clean) == clean.strip()
    assert unicodedata.is_normalized("NFC", clean)
    assert "\r" not in clean and "\0" not in clean
    clean.encode("utf-8")


def test_a_broken_character_costs_that_character_and_not_the_run(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a\\ud800b\\u0000c"}\n', encoding="utf-8")
    assert ingest(path)[0]["messages"] == [user("a\ufffdbc")]


def test_prompts_that_differ_in_form_only_are_one(tmp_path: Path) -> None:
    rows = [{"prompt": "cafe\u0301\r\nau lait "}, {"prompt": "caf\u00e9\nau lait"}]
    assert len(ingest(write_jsonl(tmp_path / "p.jsonl", rows))) == 1


# Order and selection


def test_the_order_of_rows_and_files_leaves_the_bytes_unchanged(tmp_path: Path) -> None:
    variants = [dict(row) | {"n": n} for n in range(3) for row in demo_rows()[:30]]
    first = write_jsonl(tmp_path / "a.jsonl", variants)
    second = write_jsonl(tmp_path / "b.jsonl", demo_rows())
    changes: dict[str, object] = {"limit": 50, "fraction": 0.8, "eval_fraction": 0.3}
    before = ingested_bytes(first, second, **changes)
    for path, rows in ((first, variants), (second, demo_rows())):
        random.Random(1).shuffle(rows)
        write_jsonl(path, rows)
    assert ingested_bytes(second, first, **changes) == before


def test_of_equal_prompts_the_row_of_the_smallest_source_stays(tmp_path: Path) -> None:
    late = write_jsonl(tmp_path / "b.jsonl", [{"prompt": "Why?", "from": "b"}])
    early = write_jsonl(tmp_path / "a.jsonl", [{"prompt": "Why?"}, {"prompt": "Why?", "x": 1}])
    (row,) = ingest(late, early)
    assert (row["source"], row["metadata"]) == (early.name, '{"x":1}')


def test_length_counts_all_messages_and_its_limits_are_kept(tmp_path: Path) -> None:
    rows = [{"prompt": "x" * n} for n in range(1, 8)]
    rows.append({"prompt": [{"role": "system", "content": "12"}, user("3456")]})
    kept = ingest(write_jsonl(tmp_path / "p.jsonl", rows), min_chars=3, max_chars=5)
    assert sorted(len(row["messages"][0]["content"]) for row in kept) == [3, 4, 5]


def test_fraction_and_eval_split_of_a_prompt_do_not_depend_on_the_others(tmp_path: Path) -> None:
    rows = demo_rows()
    changes: dict[str, object] = {"fraction": 0.5, "eval_fraction": 0.5}
    every = {r["prompt_id"]: r for r in ingest(write_jsonl(tmp_path / "p.jsonl", rows), **changes)}
    some = {
        r["prompt_id"]: r for r in ingest(write_jsonl(tmp_path / "p.jsonl", rows[:40]), **changes)
    }
    alone = ids(ingest(write_jsonl(tmp_path / "p.jsonl", rows[:40])))
    assert some == {key: row for key, row in every.items() if key in alone}
    assert 40 <= len(every) <= 88
    # Independent salts: what fraction keeps is still split in half, not all on one side.
    assert 0.25 < sum(r["split"] == "eval" for r in every.values()) / len(every) < 0.75


def test_a_larger_share_or_limit_keeps_what_a_smaller_one_kept(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", demo_rows())
    assert len(ingest(path, limit=10)) == 10
    assert ids(ingest(path, limit=10)) < ids(ingest(path, limit=20))
    assert ids(ingest(path, fraction=0.3)) < ids(ingest(path, fraction=0.6))
    assert ids(ingest(path, fraction=0.6, limit=500)) == ids(ingest(path, fraction=0.6))


@given(st.text(alphabet="0123456789abcdef", min_size=32, max_size=32), st.text())
def test_a_share_lies_in_zero_to_one(prompt_id: str, salt: str) -> None:
    assert 0 <= share_of(prompt_id, salt) < 1


def test_the_counts_are_logged_by_cause(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"prompt": text} for text in ["a", "aaa", "bbb", "ccc", "aaa", "x" * 9]]
    with caplog.at_level(logging.INFO, "wim.prompts.ingest"):
        ingest(write_jsonl(tmp_path / "p.jsonl", rows), max_chars=5, limit=2, eval_fraction=0)
    assert caplog.messages == [
        "prompts: 6 read, 1 duplicates, 1 too short, 1 too long, 0 left out by fraction, "
        "1 left out by limit, 2 kept: 2 train, 0 eval"
    ]


# Shards


def sharded(folder: Path, rows: Sequence[Row], shards: int) -> list[Path]:
    ingest(write_jsonl(folder / "p.jsonl", rows))
    outputs = [folder / "shards" / f"{shard:03}.parquet" for shard in range(shards)]
    shard_prompts(folder / "prompts.parquet", outputs)
    return outputs


def test_the_shards_hold_every_prompt_once_where_its_id_says(tmp_path: Path) -> None:
    outputs = sharded(tmp_path, demo_rows(), 3)
    shards = [read_table(output, PROMPTS).to_pylist() for output in outputs]
    whole = read_table(tmp_path / "prompts.parquet", PROMPTS).to_pylist()
    assert sorted((r for s in shards for r in s), key=lambda r: r["prompt_id"]) == whole
    for shard, rows in enumerate(shards):
        assert len(rows) > 20
        assert {int(row["prompt_id"][:16], 16) % 3 for row in rows} == {shard}


def test_one_added_prompt_changes_the_bytes_of_its_shard_only(tmp_path: Path) -> None:
    before = [path.read_bytes() for path in sharded(tmp_path, demo_rows(), 4)]
    added = {"prompt": "What is one more prompt?"}
    after = [path.read_bytes() for path in sharded(tmp_path, [added, *demo_rows()], 4)]
    home = shard_of(row_id([user("What is one more prompt?")]), 4)
    assert [shard for shard in range(4) if before[shard] != after[shard]] == [home]


def test_a_shard_without_prompts_is_a_table_without_rows(tmp_path: Path) -> None:
    outputs = sharded(tmp_path, [{"prompt": "Why?"}], 5)
    assert sorted(read_table(output, PROMPTS).num_rows for output in outputs) == [0, 0, 0, 0, 1]


@given(
    st.text(alphabet="0123456789abcdef", min_size=32, max_size=32),
    st.integers(min_value=1, max_value=999),
)
def test_a_prompt_has_one_shard(prompt_id: str, shards: int) -> None:
    assert 0 <= shard_of(prompt_id, shards) < shards
    assert shard_of(prompt_id, shards) == shard_of(prompt_id[:16] + "0" * 16, shards)


# Refusals


def test_a_missing_file_is_named_with_the_folder_it_was_looked_for_in(tmp_path: Path) -> None:
    message = refusal(tmp_path / "no.jsonl")
    assert f"prompts.files: {tmp_path / 'no.jsonl'}: no such file" in message
    assert str(Path.cwd()) in message


@pytest.mark.parametrize(
    ("name", "content"),
    [("p.jsonl", "\n \n"), ("p.json", ""), ("p.json", "[]"), ("p.csv", "prompt\n"), ("p.csv", "")],
)
def test_a_file_without_rows_is_refused(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert f"{tmp_path / name}: found no rows" in refusal(tmp_path / name)


def test_an_unknown_extension_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("Why?")
    message = refusal(tmp_path / "p.txt")
    assert "p.txt: found the extension '.txt'" in message
    assert ".jsonl, .json, .csv, .parquet" in message


def test_a_line_that_is_not_json_is_named_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "fine"}\n\n{"prompt": ' + "x" * 100 + "\n")
    message = refusal(path)
    assert f"{path}:3: not JSON" in message
    assert 'found \'{"prompt": ' + "x" * 48 + "..." in message
    assert "expected one object per line" in message


def test_a_json_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    message = row_refusal(tmp_path, ["Why?"])
    assert "rows.jsonl:2: found ['Why?']; expected an object" in message


def test_json_that_holds_no_list_of_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"rows": []}')
    assert "p.json: found {'rows': []}; expected a list of objects" in refusal(path)
    path.write_text('[{"prompt": "fine"}, "Why?"]')
    assert "p.json, row 2: found 'Why?'; expected an object" in refusal(path)
    path.write_text('{"prompt": "fine"}\n{"prompt": "Why?"}\n')
    message = refusal(path)
    assert "p.json:2: not JSON (Extra data)" in message
    assert "Name a file with one object per line .jsonl" in message


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv"])
def test_bytes_that_are_not_utf8_are_named_by_line_and_offset(name: str, tmp_path: Path) -> None:
    lines = b'{"prompt": "fine"}\n{"prompt": "caf\xe9"}\n'
    (tmp_path / name).write_bytes(lines)
    message = refusal(tmp_path / name)
    assert f"{name}:2: not UTF-8: found the byte 0xe9 at byte offset 34; save" in message
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + lines)
    assert "byte offset 37" in refusal(tmp_path / name)


def test_a_csv_row_with_another_number_of_fields_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("prompt,category\nfine,x\nWell, why?,y\n")
    message = refusal(path)
    assert "p.csv, row 2: found 3 fields, but the header has 2 (prompt, category)" in message
    path.write_text('prompt,category\n"Why?,y\n')
    assert "not CSV (unexpected end of data)" in refusal(path)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"PAR1 and no more")
    assert "p.parquet: not a readable Parquet file" in refusal(tmp_path / "p.parquet")


def test_a_missing_column_is_answered_with_the_columns_and_the_key(tmp_path: Path) -> None:
    message = row_refusal(tmp_path, {"question": "Why?", "topic": "x"})
    assert "rows.jsonl:2: found the columns question, topic" in message
    assert "prompt or messages or conversations or instruction" in message
    assert "write prompts.column: <" in message
    message = row_refusal(tmp_path, {"prompt": "Why?"}, column="question")
    assert "rows.jsonl:1: found the columns prompt, and none of them is question" in message
    message = row_refusal(tmp_path, {"prompt": "Why?"}, reference_column="gold")
    assert "none of them is gold; write prompts.reference_column: <" in message


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (" \n", "found an empty prompt"),
        ([user("Why?"), answer(" "), user("And?")], "found an empty prompt"),
        ([], "found no message before the first answer"),
        ([answer("Hello.")], "found no message before the first answer"),
        ([{"role": "system", "content": "Be"}], "ends with a system message; expected a user"),
        (None, "found None; expected a string, or a list of {role, content}"),
        (7, "found 7; expected a string, or a list"),
        ({"role": "user", "content": "Why?"}, "found {'role': 'user', 'content': 'Why?'}"),
        (["Why?"], "message 1: found 'Why?'; expected {role, content}"),
        ([{"role": "tool", "content": "x"}], "message 1: found the role 'tool'; expected one of"),
        ([{"from": "bing", "value": "x"}], "message 1: found the role 'bing'; expected one of"),
        ([{"role": "user", "content": ["x"]}], "message 1: found ['x'] as content; expected a str"),
        ([{"from": "human"}], "message 1: found None as value; expected a string"),
    ],
)
def test_a_row_without_a_usable_prompt_is_named(prompt: object, said: str, tmp_path: Path) -> None:
    message = row_refusal(tmp_path, {"prompt": prompt})
    assert "rows.jsonl:2: column 'prompt'" in message
    assert said in message


def test_a_row_of_a_file_without_lines_is_named_by_its_number(tmp_path: Path) -> None:
    path = save_parquet(tmp_path, [{"prompt": "fine"}, {"prompt": ""}])
    assert "p.parquet, row 2: column 'prompt': found an empty prompt" in refusal(path)
    path = save_csv(tmp_path, [{"prompt": "two\nlines", "n": 1}, {"prompt": "", "n": 2}])
    assert "p.csv, row 2: column 'prompt': found an empty prompt" in refusal(path)


def test_a_reference_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "Why?", "gold": 7}])
    message = refusal(path, reference_column="gold")
    assert "p.jsonl:1: column 'gold': found 7; expected a string" in message


def test_nothing_left_is_told_with_the_counts_by_cause(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "a"}, {"prompt": "a"}, {"prompt": "aaaa"}])
    message = refusal(path, min_chars=2, max_chars=3)
    assert f"nothing left of 3 rows in {path}: 1 duplicates, 1 too short, 1 too long" in message
    assert "prompts.min_chars" in message and "prompts.max_chars" in message
