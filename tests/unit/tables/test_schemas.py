"""The tables' columns: their dataclasses, their schemas and their page of the docs say the same."""

import re
from collections.abc import Iterator

import pyarrow as pa
import pytest

from support.workflow_runs import REPOSITORY
from wim.tables.schemas import (
    COMPARISONS,
    DIALOGUES,
    PAIRS,
    PANELS,
    PROMPTS,
    RATINGS,
    REWARDS,
    Table,
    embeddings_table,
)

PAGE = REPOSITORY / "docs/reference/tables.md"
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
MEMBER_TEXTS = [(name, pa.string()) for name in ("member", "judge", "status")]
MEMBER = pa.struct([*MEMBER_TEXTS, ("reward", pa.float64())])
TYPES = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "list of int32": pa.list_(pa.int32()),
    "messages": MESSAGES,
    "fixed list of float": pa.list_(pa.float32(), 384),
    "list of {member, judge, status, reward*}": pa.list_(MEMBER),
}
TABLES = [PROMPTS, DIALOGUES, RATINGS, COMPARISONS, embeddings_table(384), REWARDS, PAIRS]


def documented(section: str) -> Iterator[pa.Field]:
    """The columns of a section of the page, in its order."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for names, kind in re.findall(r"^\| (`[^|]*) \| ([^|]+) \|", text, re.MULTILINE):
        for name, star in re.findall(r"`(\w+)`(\*?)", names):
            yield pa.field(name, TYPES[kind], nullable=bool(star))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_page_of_the_tables_has_every_column_with_its_type(table: Table) -> None:
    of_page = list(documented(table.name))
    assert sorted(of_page[: len(table.schema)], key=str) == sorted(table.schema, key=str)


def test_the_page_has_the_further_columns_of_a_panel() -> None:
    assert list(documented("rewards")) == list(PANELS.schema)


@pytest.mark.parametrize("table", [*TABLES, PANELS], ids=lambda table: table.name)
def test_the_only_metadata_of_a_table_is_its_name(table: Table) -> None:
    assert table.schema.metadata == {b"wim.table": table.name.encode()}
    assert set(table.key) <= set(table.schema.names)
