"""Conversations as files hold them: parts, roles, and what stands behind the prompt."""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.prompt_files import (
    answer,
    ingest,
    ingest_row,
    row_refusal,
    settings_for,
    user,
    write_jsonl,
)
from wim.errors import UserError
from wim.prompts.parse import COLUMNS, parse_row
from wim.prompts.rows import SourceRow
from wim.provenance.digest import row_id


def parts(*texts: str) -> list[dict[str, object]]:
    return [{"type": "text", "text": text} for text in texts]


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}
TOOL = {"role": "tool", "content": '{"temperature": 21}', "tool_call_id": "1"}


@pytest.mark.parametrize(
    ("turns", "reference"),
    [
        ([user("Warm?"), CALL, TOOL, answer("Yes.")], None),
        ([user("Warm?"), answer("Let me see."), TOOL, answer("Yes.")], "Let me see."),
        ([user("Warm?"), answer("Yes."), {"role": "critic", "content": 7}, "and more"], "Yes."),
        ([user("Warm?"), answer("Yes."), user("And here?") | {"content": [IMAGE]}], "Yes."),
    ],
)
def test_what_stands_behind_the_first_answer_makes_no_row_unusable(
    tmp_path: Path, turns: list[object], reference: str | None
) -> None:
    row = ingest_row(tmp_path, {"messages": turns})
    assert (row["messages"], row["reference"]) == ([user("Warm?")], reference)


def test_a_tool_turn_within_the_prompt_makes_a_row_unusable(tmp_path: Path) -> None:
    for column, turns in (
        ("messages", [user("Warm?"), TOOL, answer("Yes.")]),
        ("prompt", [user("Warm?"), CALL, TOOL, user("Well?")]),
    ):
        message = row_refusal(tmp_path, {"prompt": None, column: turns})
        assert f"column '{column}', message " in message


def test_a_tool_turn_at_the_end_of_a_prompt_of_turns_is_not_looked_at(tmp_path: Path) -> None:
    row = ingest_row(tmp_path, {"prompt": [user("Warm?"), CALL, TOOL]})
    assert row["messages"] == [user("Warm?")]


def test_the_parts_of_a_content_are_one_text(tmp_path: Path) -> None:
    turns = [
        {"role": "developer", "content": parts("Be brief.")},
        {"role": "user", "content": parts("Sum this up:", "It rained. ")},
        {"role": "assistant", "content": parts("Rain.")},
    ]
    row = ingest_row(tmp_path, {"messages": turns})
    messages = [{"role": "system", "content": "Be brief."}, user("Sum this up:\nIt rained.")]
    assert (row["messages"], row["reference"]) == (messages, "Rain.")
    assert row["prompt_id"] == row_id(messages)


def test_parts_from_parquet_have_nulls_for_what_other_parts_hold(tmp_path: Path) -> None:
    part = {"type": "text", "text": "Why?", "image": None}
    turns = [{"role": "user", "content": [part]}]
    pq.write_table(pa.Table.from_pylist([{"messages": turns}]), tmp_path / "p.parquet")
    assert ingest(tmp_path / "p.parquet")[0]["messages"] == [user("Why?")]
    as_lists = {"type": ["text"], "text": ["Why?"]}
    row = ingest_row(tmp_path, {"messages": [{"role": "user", "content": as_lists}]})
    assert row["messages"] == [user("Why?")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([*parts("What is this?"), IMAGE], "found a part of the type 'image_url'; expected parts"),
        ([{"type": "input_audio", "input_audio": {}}], "of the type 'input_audio'"),
        ([{"type": "text", "text": None}], "of the type 'text'"),
        ([{}], "of the type None"),
        (["What?"], "found ['What?'] as content; expected a string, or a list of {type: text"),
        (7, "found 7 as content"),
        ([], "found an empty prompt"),
    ],
)
def test_a_content_that_is_not_text_is_refused_with_what_it_is(
    tmp_path: Path, content: object, said: str
) -> None:
    message = row_refusal(tmp_path, {"messages": [{"role": "user", "content": content}]})
    assert message.startswith(str(tmp_path / "rows.jsonl:2")) and said in message


def test_rows_that_are_left_out_are_counted_by_cause(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"messages": [user("Why?")]},
        *[{"messages": [{"role": "user", "content": [IMAGE]}]}] * 2,
        {"messages": [TOOL]},
        {"messages": [answer("Hello.")]},
        {"messages": None},
        {"messages": "  "},
        {"messages": [{"role": "system", "content": "Be brief."}]},
    ]
    with caplog.at_level(logging.INFO, "wim.prompts.ingest"):
        ingest(write_jsonl(tmp_path / "p.jsonl", rows), unusable="drop")
    assert (
        "prompts: 8 read, 7 without a prompt (1 an empty message, 1 no text, 1 no user message "
        "last, 1 nothing before the first answer, 2 parts that are not text, 1 unknown role), "
        "0 duplicates" in caplog.text
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("Human: Asitn\n[]{}"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "type", "text", "a"]), inner
        )
        | st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": inner}
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*COLUMNS, "input", "system", "id"]), VALUES), st.data())
def test_a_row_of_any_form_becomes_a_prompt_or_an_error_that_names_it(
    values: dict[str, object], data: st.DataObject
) -> None:
    changes = {
        "column": data.draw(st.sampled_from([None, "messages"])),
        "system_column": data.draw(st.sampled_from([None, "system"])),
        "transcripts": data.draw(st.sampled_from(["refuse", "read", "text"])),
    }
    settings = settings_for("rows.jsonl", **changes)
    try:
        prompt = parse_row(SourceRow("rows.jsonl", "rows.jsonl:7", values), settings).prompt
    except UserError as error:
        assert str(error).startswith("rows.jsonl:7: ")
    else:
        assert prompt.messages[-1]["role"] == "user"
        assert all(message["content"] for message in prompt.messages)


# A column with the system message

BRIEF = {"role": "system", "content": "Be brief."}


def test_a_system_column_is_put_before_the_prompt_where_the_settings_name_it(
    tmp_path: Path,
) -> None:
    row = ingest_row(
        tmp_path, {"system": " Be brief.", "prompt": "Why?", "n": 1}, system_column="system"
    )
    assert (row["messages"], row["metadata"]) == ([BRIEF, user("Why?")], '{"n":1}')
    for text in (None, " "):
        row = ingest_row(tmp_path, {"system": text, "prompt": "Why?"}, system_column="system")
        assert row["prompt_id"] == row_id([user("Why?")])


def test_a_system_column_that_repeats_the_conversations_own_message_adds_none(
    tmp_path: Path,
) -> None:
    chat = {"messages": [BRIEF, user("Why?")], "system": "Be brief."}
    assert ingest_row(tmp_path, chat, system_column="system")["messages"] == [BRIEF, user("Why?")]
    message = row_refusal(
        tmp_path, chat | {"prompt": None, "system": "Rhyme."}, system_column="system"
    )
    assert "none of them is system" in message
    path = write_jsonl(tmp_path / "p.jsonl", [chat | {"system": "Rhyme."}])
    with pytest.raises(
        Exception, match=r"p\.jsonl:1: column 'system': found a system message, and"
    ):
        ingest(path, system_column="system")


def test_a_system_column_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    message = row_refusal(tmp_path, {"prompt": "Why?"}, system_column="system")
    assert "none of them is system; write prompts.system_column: <the column that" in message
    path = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "Why?", "system": ["Be brief."]}])
    with pytest.raises(Exception, match=r"column 'system': found \['Be brief\.'\]; expected a str"):
        ingest(path, system_column="system")


def test_a_system_column_that_is_not_used_is_named_and_leaves_the_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"prompt": "Why?", "system": "Be brief."},
        {"prompt": "Who?", "system": ""},
        {"prompt": "When?", "system_prompt": "Rhyme."},
        {"prompt": [BRIEF, user("What?")], "system": "Be brief."},
    ]
    with caplog.at_level(logging.WARNING, "wim.prompts.ingest"):
        found = ingest(write_jsonl(tmp_path / "p.jsonl", rows))
    assert row_id([user("Why?")]) in {row["prompt_id"] for row in found}
    assert caplog.messages == [
        f"prompts: 1 rows have a text in the column '{column}', which is not used; write "
        f"prompts.system_column: {column} to make it the prompt's system message"
        for column in ("system", "system_prompt")
    ]


def test_what_looks_like_a_part_of_the_prompt_and_is_not_read_has_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"prompt": "Why?", "context": "It rains.", "history": []},
        {"prompt": "Who?", "context": "", "history": [["Hi", "Hello"]]},
        {"instruction": "Add them.", "input": [1, 2]},
        {"instruction": "Translate.", "input": "Bread."},
    ]
    with caplog.at_level(logging.WARNING, "wim.prompts.ingest"):
        ingest(write_jsonl(tmp_path / "p.jsonl", rows))
    assert [message.split(",")[0] for message in caplog.messages] == [
        f"prompts: 1 rows have something in the column '{column}'"
        for column in ("context", "history", "input")
    ]
