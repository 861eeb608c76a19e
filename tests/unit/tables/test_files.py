"""Tables between the stages: whole, of one schema, the same bytes for the same rows."""

import json
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.builders import candidate, pair, prompt, rating, user
from support.damage import flip, random_bits
from support.workflow_runs import REPOSITORY
from wim.errors import UserError
from wim.provenance.digest import row_id
from wim.tables.files import (
    as_arrow,
    failed_rows,
    read_embeddings,
    read_embeddings_in_pieces,
    read_table,
    read_tables,
    row_count,
    write_table,
)
from wim.tables.schemas import (
    DIALOGUES,
    PAIRS,
    PROMPTS,
    RATINGS,
    REWARDS,
    Table,
    embeddings_table,
)
from wim.tables.seal import seal

DEMO = REPOSITORY / "config/prompts/demo.jsonl"
TEXTS = [json.loads(line)["prompt"] for line in DEMO.read_text(encoding="utf-8").splitlines()]
DIMENSION = 8
EMBEDDINGS = embeddings_table(DIMENSION)


def prompts() -> pa.Table:
    rows = [
        prompt(row_id(text), messages=user(text), reference=None if n % 2 else text)
        for n, text in enumerate(TEXTS)
    ]
    return as_arrow(PROMPTS, rows)


def dialogues() -> pa.Table:
    rows = [
        candidate(
            row_id([text, sample]),
            prompt_id=row_id(text),
            dialogue_id=row_id([text]),
            sample=sample,
            context=user(text),
            completion=text[::-1],
            seed=2**60 - sample,
        )
        for text in TEXTS
        for sample in range(2)
    ]
    return as_arrow(DIALOGUES, rows)


def ratings() -> pa.Table:
    failed = {"status": "error", "rating": None, "rating_expected": None, "wim": None, "raw": ""}
    rows = [
        rating(row_id(text), wim=text, nothing_missing_logprob=-2.5, raw=text)
        if n % 3
        else rating(row_id(text), **failed)
        for n, text in enumerate(TEXTS)
    ]
    return as_arrow(RATINGS, rows)


def embeddings() -> pa.Table:
    draw = np.random.default_rng(0)
    rows = [
        {
            "candidate_id": row_id(text),
            "judge": "tiny",
            "response_embedding": draw.normal(size=DIMENSION).tolist(),
            "wim_embedding": draw.normal(size=DIMENSION).tolist() if n % 3 else None,
            "response_truncated": n % 2 == 0,
            "wim_truncated": False,
            "response_unknown": n / 8,
            "wim_unknown": 0.5 if n % 3 else None,
            "encoder_digest": "e" * 64,
        }
        for n, text in enumerate(TEXTS)
    ]
    return pa.Table.from_pylist(rows, schema=EMBEDDINGS.schema)


def rewards() -> pa.Table:
    rows = [
        {
            "candidate_id": row_id([text]), "prompt_id": row_id(text), "turn": 1, "judge": "tiny",
            "status": "ok", "cosine": 0.5, "rating_scaled": None, "reward": 1 / (n + 1),
        }
        for n, text in enumerate(TEXTS)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=REWARDS.schema)


def pairs() -> pa.Table:
    said = {"chosen": "yes", "rejected": "no", "chosen_tokens": [1, 2], "chosen_reasoning": "so"}
    rows = [pair(prompt=user(text), prompt_id=row_id(text), **said) for text in TEXTS]
    return pa.Table.from_pylist(rows, schema=PAIRS.schema)


ALL = [
    pytest.param(PROMPTS, prompts, id="prompts"),
    pytest.param(DIALOGUES, dialogues, id="dialogues"),
    pytest.param(RATINGS, ratings, id="ratings"),
    pytest.param(EMBEDDINGS, embeddings, id="embeddings"),
    pytest.param(REWARDS, rewards, id="rewards"),
    pytest.param(PAIRS, pairs, id="pairs"),
]


def by_key(table: Table, content: pa.Table) -> pa.Table:
    return content.sort_by([(column, "ascending") for column in table.key])


@pytest.mark.parametrize(("table", "rows"), ALL)
def test_a_table_reads_as_it_was_written_in_the_order_of_its_key(table, rows, tmp_path) -> None:
    path = tmp_path / "new/folder/table.parquet"
    write_table(path, table, rows())
    found = read_table(path, table)
    assert found.equals(by_key(table, rows()))
    assert found.schema.equals(table.schema, check_metadata=True)


@pytest.mark.parametrize(("table", "rows"), ALL)
def test_an_empty_table_reads_as_it_was_written(table, rows, tmp_path) -> None:
    write_table(tmp_path / "table.parquet", table, table.schema.empty_table())
    assert read_table(tmp_path / "table.parquet", table).num_rows == 0


@pytest.mark.parametrize(("table", "rows"), ALL)
def test_the_same_rows_in_another_order_give_the_same_bytes(table, rows, tmp_path) -> None:
    content = rows()
    order = list(range(len(content)))
    random.Random(0).shuffle(order)
    shuffled = content.take(order)
    chunked = pa.concat_tables([shuffled.slice(place, 3) for place in range(0, len(order), 3)])
    reordered = chunked.select(list(reversed(content.column_names)))
    for name, variant in {"a": content, "b": shuffled, "c": chunked, "d": reordered}.items():
        write_table(tmp_path / name, table, variant.replace_schema_metadata({"who": name}))
    assert len({(tmp_path / name).read_bytes() for name in "abcd"}) == 1


def test_the_bytes_of_a_large_table_do_not_depend_on_how_its_rows_were_gathered(tmp_path) -> None:
    rows = [
        {
            "candidate_id": row_id(number), "prompt_id": row_id(number % 977), "turn": 1,
            "judge": "tiny", "status": "ok" if number % 5 else "error",
            "cosine": 1 / (number + 1) if number % 5 else None, "rating_scaled": 0.1, "reward": None,
        }
        for number in range(70_000)
    ]  # fmt: skip
    whole = pa.Table.from_pylist(rows, schema=REWARDS.schema)
    random.Random(0).shuffle(rows)
    parts = [
        pa.Table.from_pylist(rows[place : place + 999], schema=REWARDS.schema)
        for place in range(0, len(rows), 999)
    ]
    write_table(tmp_path / "whole", REWARDS, whole)
    write_table(tmp_path / "parts", REWARDS, pa.concat_tables(parts))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()


def as_written(path: Path, content: pa.Table) -> Path:
    pq.write_table(content, path)
    seal(path)
    return path


def with_type(content: pa.Table, name: str, kind: pa.DataType) -> pa.Table:
    place = content.column_names.index(name)
    return content.set_column(place, pa.field(name, kind), content.column(name).cast(kind))


def with_null(content: pa.Table, name: str) -> pa.Table:
    field = content.schema.field(name)
    place = content.column_names.index(name)
    values = [None, *content.column(name).to_pylist()[1:]]
    return content.set_column(place, pa.field(name, field.type), pa.array(values, field.type))


MISFITS = [
    pytest.param(
        lambda rows: rows.drop_columns("status"), "status", "expected string", id="missing"
    ),
    pytest.param(
        lambda rows: with_type(rows, "turn", pa.int64()), "turn", "int64; expected int32", id="type"
    ),
    pytest.param(
        lambda rows: with_type(rows, "turn", pa.string()),
        "turn",
        "string; expected int32",
        id="text",
    ),
    pytest.param(
        lambda rows: with_null(rows, "judge"), "judge", "1 empty values; expected none", id="null"
    ),
]


@pytest.mark.parametrize(("misfit", "column", "expected"), MISFITS)
def test_a_file_that_does_not_fit_is_refused_by_file_column_and_expectation(
    misfit, column, expected, tmp_path
) -> None:
    path = as_written(tmp_path / "rewards.parquet", misfit(rewards()))
    with pytest.raises(UserError) as refusal:
        read_table(path, REWARDS)
    for part in (str(path), f"'{column}'", "'rewards'", expected):
        assert part in str(refusal.value)


@pytest.mark.parametrize(("misfit", "column", "expected"), MISFITS)
def test_rows_that_do_not_fit_are_not_written(misfit, column, expected, tmp_path) -> None:
    path = tmp_path / "rewards.parquet"
    with pytest.raises(UserError) as refusal:
        write_table(path, REWARDS, misfit(rewards()))
    for part in (str(path), f"'{column}'", "'rewards'", expected):
        assert part in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named_with_the_table_that_was_expected(tmp_path) -> None:
    path = tmp_path / "none.parquet"
    with pytest.raises(
        UserError, match=r"none\.parquet: no such file; expected the table 'rewards'"
    ):
        read_table(path, REWARDS)


@pytest.mark.parametrize("size", [0, 3, 100, -10])
def test_a_file_that_is_not_whole_parquet_is_refused_by_name(size, tmp_path) -> None:
    path = tmp_path / "rewards.parquet"
    write_table(path, REWARDS, rewards())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        UserError, match=r"rewards\.parquet: not a readable Parquet file.*'rewards'"
    ):
        read_table(path, REWARDS)


def test_a_parquet_file_with_damage_inside_is_refused_by_name(tmp_path) -> None:
    path = tmp_path / "rewards.parquet"
    write_table(path, REWARDS, rewards())
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"rewards\.parquet: not a readable Parquet file"):
        read_table(path, REWARDS)


def test_columns_that_are_not_asked_for_need_not_fit(tmp_path) -> None:
    path = as_written(tmp_path / "rewards.parquet", with_null(rewards(), "judge"))
    found = read_table(path, REWARDS, ["reward", "candidate_id"])
    assert found.column_names == ["candidate_id", "reward"]
    with pytest.raises(UserError, match="'judge'"):
        read_table(path, REWARDS, ["judge"])


def test_a_column_beyond_the_schema_is_left_out_when_read(tmp_path) -> None:
    content = rewards().append_column("note", pa.array(["x"] * len(rewards())))
    path = as_written(tmp_path / "rewards.parquet", content)
    assert read_table(path, REWARDS).equals(rewards())


def test_several_files_are_read_in_their_order(tmp_path) -> None:
    paths = [tmp_path / f"{number}.parquet" for number in range(3)]
    for number, path in enumerate(paths):
        write_table(path, REWARDS, rewards().slice(number * 2, 2))
    found = read_tables(reversed(paths), REWARDS)
    expected = [by_key(REWARDS, rewards().slice(number * 2, 2)) for number in (2, 1, 0)]
    assert found.equals(pa.concat_tables(expected))


def test_a_folder_named_like_a_hive_partition_adds_no_column(tmp_path) -> None:
    path = tmp_path / "status=x/rewards.parquet"
    write_table(path, REWARDS, rewards())
    assert read_table(path, REWARDS).equals(by_key(REWARDS, rewards()))


def test_embeddings_of_any_dimension_are_read(tmp_path) -> None:
    path = tmp_path / "embeddings.parquet"
    write_table(path, EMBEDDINGS, embeddings())
    assert read_embeddings(path).equals(by_key(EMBEDDINGS, embeddings()))


def test_embeddings_of_mixed_dimensions_are_refused(tmp_path) -> None:
    other = embeddings_table(3).schema.field("wim_embedding")
    place = EMBEDDINGS.schema.names.index("wim_embedding")
    column = pa.array([[0.0] * 3] * len(TEXTS), other.type)
    path = as_written(tmp_path / "e.parquet", embeddings().set_column(place, other, column))
    with pytest.raises(
        UserError, match=r"e\.parquet: column 'wim_embedding'.*\[3\]; expected .*\[8\]"
    ):
        read_embeddings(path)


def test_a_file_that_holds_no_embeddings_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(UserError, match="no such file; expected the table 'embeddings'"):
        read_embeddings(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("candidate_id\n")
    with pytest.raises(UserError, match=r"text\.parquet: not a readable Parquet file"):
        read_embeddings(tmp_path / "text.parquet")
    with pytest.raises(UserError, match=r"r\.parquet: column '\w+' is missing from .*'embeddings'"):
        read_embeddings(as_written(tmp_path / "r.parquet", rewards()))
    lists = with_type(embeddings(), "response_embedding", pa.list_(pa.float32()))
    with pytest.raises(UserError, match=r"l\.parquet: column 'response_embedding' .*has type list"):
        read_embeddings(as_written(tmp_path / "l.parquet", lists))


@pytest.mark.parametrize(("table", "rows"), ALL)
def test_pandas_opens_every_table(table, rows, tmp_path) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, table, rows())
    frame = pd.read_parquet(path)
    assert list(frame.columns) == table.schema.names
    assert list(frame[table.key[0]]) == by_key(table, rows())[table.key[0]].to_pylist()


@pytest.mark.parametrize(("table", "rows"), ALL)
def test_datasets_opens_every_table(table, rows, tmp_path) -> None:
    from datasets import load_dataset

    path = tmp_path / "table.parquet"
    write_table(path, table, rows())
    found = load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path / "cache"))[
        "train"
    ]
    assert found.column_names == table.schema.names
    assert found.to_list() == by_key(table, rows()).to_pylist()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing beyond so many bytes of a file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_keeps_the_old_file_and_leaves_no_partial_one(tmp_path) -> None:
    path = tmp_path / "rewards.parquet"
    write_table(path, REWARDS, rewards().slice(0, 1))
    before = path.read_bytes()
    with files_of_at_most(200), pytest.raises(UserError, match=f"{path}: cannot be written"):
        write_table(path, REWARDS, rewards())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write_table(path, REWARDS, rewards())
    assert read_table(path, REWARDS).num_rows == len(TEXTS)


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        *ALL,
        pytest.param(REWARDS, lambda: rewards().slice(0, 0), id="empty"),
        pytest.param(REWARDS, lambda: rewards().slice(0, 1), id="one row"),
    ],
)
def test_no_flipped_bit_of_a_table_goes_unnoticed(table, rows, tmp_path) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, table, rows(), failed=3)
    size = path.stat().st_size
    footer = [(path, 8 * (size - back) + back % 8) for back in range(1, 400, 31)]
    for _, bit in random_bits([path], 50) + footer:
        flip(path, bit, quietly=True)
        with pytest.raises(UserError, match=r"table\.parquet: not a readable Parquet file"):
            read_table(path, table)
        flip(path, bit)
    assert read_table(path, table).num_rows == len(rows())


def test_a_damaged_footer_is_noticed_by_who_reads_it_alone(tmp_path) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, REWARDS, rewards(), failed=3)
    place = path.read_bytes().rindex(b"wim.failed")
    flip(path, 8 * (place + 12))
    for read in (row_count, lambda path: failed_rows(path, REWARDS)):
        with pytest.raises(UserError, match=r"table\.parquet: not a readable Parquet file"):
            read(path)


def test_a_table_that_this_version_did_not_write_is_refused_by_name(tmp_path) -> None:
    pq.write_table(rewards(), tmp_path / "table.parquet")
    with pytest.raises(UserError, match=r"table\.parquet: .* not written by this version"):
        read_table(tmp_path / "table.parquet", REWARDS)


def test_damage_in_rows_is_noticed_before_a_piece_is_given(tmp_path) -> None:
    path = tmp_path / "e.parquet"
    write_table(path, EMBEDDINGS, embeddings())
    flip(path, 8 * 500)
    with pytest.raises(UserError, match=r"e\.parquet: not a readable"):
        next(read_embeddings_in_pieces(path, ["candidate_id"], 2))
