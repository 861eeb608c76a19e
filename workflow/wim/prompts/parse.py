"""Parse a row of a prompt file: its prompt as messages, its reference answer, its metadata."""

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.prompts.readers import SourceRow, found_text
from wim.prompts.splits import share_of
from wim.provenance.digest import canonical_json, row_id
from wim.tables.schemas import Message, Prompt

if TYPE_CHECKING:
    from wim.settings.prompts import PromptSettings

COLUMNS = ("prompt", "messages", "conversations", "instruction")
ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class UnusableRow(UserError):
    """A row that holds no prompt."""


def clean_text(text: str) -> str:
    """A text in Unicode NFC, with LF as line end and no outer white space.

    Characters that Parquet or a tokenizer refuses are replaced silently, since one of them should
    not stop a run: NUL is dropped, a lone surrogate becomes U+FFFD.
    """
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", LONE_SURROGATE.sub("\ufffd", text)).strip()


def prompt_of(row: SourceRow, settings: "PromptSettings") -> Prompt:
    """The prompt that a row holds, as a string or as a conversation.

    A conversation is a list of {role, content} or, as in ShareGPT, of {from, value}. Its prompt is
    the messages before the first assistant message, and that message is the reference, unless
    `reference_column` names another; later turns are not used. Only under the column `prompt`, a
    list that ends with a user message is a prompt of several turns and kept whole. A system message
    without text is left out. The id is that of the messages after `clean_text`; the other columns,
    where not null, become metadata and do not enter it.

    Raises:
        UserError: A column is missing; names file, row and column.
        UnusableRow: The prompt is empty, of another type, has an unknown role or does not end with
            a user message.
    """
    column = _prompt_column(row, settings.column)
    where = f"{row.place}: column '{column}'"
    conversation = _conversation(_with_input(row, column), where)
    messages, reference = _prompt_and_reference(conversation, column)
    _check_messages(messages, where)
    if settings.reference_column is not None:
        reference = _reference(row, settings.reference_column)
    prompt_id = row_id(messages)
    return Prompt(
        prompt_id=prompt_id,
        messages=messages,
        split="eval" if share_of(prompt_id, "eval") < settings.eval_fraction else "train",
        source=row.source,
        reference=reference or None,
        metadata=_metadata(row.values, {column, settings.reference_column, *_joined(row, column)}),
    )


def _joined(row: SourceRow, column: str) -> set[str]:
    """Further columns whose text is part of the prompt: Alpaca's `input` of an `instruction`."""
    text = row.values.get("input")
    return {"input"} if column == "instruction" and isinstance(text, str) and text else set()


def _with_input(row: SourceRow, column: str) -> object:
    """The prompt column's value; of Alpaca's rows the instruction, then the input it is about."""
    value = row.values[column]
    if isinstance(value, str) and _joined(row, column):
        return f"{value}\n\n{row.values['input']}"
    return value


def _prompt_column(row: SourceRow, column: str | None) -> str:
    names = COLUMNS if column is None else (column,)
    present = [name for name in names if name in row.values]
    if not present:
        raise UserError(
            f"{row.place}: found the columns {', '.join(row.values)}, and none of them is "
            f"{' or '.join(names)}; write prompts.column: <the column that holds the prompt>."
        )
    return next((name for name in present if row.values[name] is not None), present[0])


def _conversation(value: object, where: str) -> list[Message]:
    """A prompt column's value as clean messages."""
    if isinstance(value, str):
        return [Message(role="user", content=clean_text(value))]
    turns = _structs(value) if isinstance(value, Mapping) else value
    if not isinstance(turns, list):
        raise UnusableRow(
            f"{where}: found {found_text(value)}; expected a string, or a list of "
            f"{{role, content}} or {{from, value}}."
        )
    messages = [_message(turn, f"{where}, message {n}") for n, turn in enumerate(turns, start=1)]
    return [each for each in messages if each["content"] or each["role"] != "system"]


def _structs(value: Mapping[str, object]) -> list[dict[str, object]] | None:
    """A struct of lists, as older `datasets` store a list of structs; None if it is not one."""
    lists = [each for each in value.values() if isinstance(each, list)]
    if len(lists) != len(value) or len({len(each) for each in lists}) != 1:
        return None
    return [dict(zip(value, turn, strict=True)) for turn in zip(*lists, strict=True)]


def _message(turn: object, where: str) -> Message:
    if not isinstance(turn, Mapping):
        raise UnusableRow(
            f"{where}: found {found_text(turn)}; expected {{role, content}} or {{from, value}}."
        )
    # Parquet gives the keys of both forms where a file mixes them, with nulls.
    keys = ("role", "content") if turn.get("role") is not None else ("from", "value")
    role, content = (turn.get(key) for key in keys)
    if not isinstance(role, str) or role not in ROLES:
        raise UnusableRow(
            f"{where}: found the role {found_text(role)}; expected one of {', '.join(ROLES)}."
        )
    if not isinstance(content, str):
        raise UnusableRow(f"{where}: found {found_text(content)} as {keys[1]}; expected a string.")
    return Message(role=ROLES[role], content=clean_text(content))


def _prompt_and_reference(
    conversation: list[Message], column: str
) -> tuple[list[Message], str | None]:
    roles = [message["role"] for message in conversation]
    whole = column == "prompt" and roles[-1:] == ["user"]
    if whole or "assistant" not in roles:
        return conversation, None
    first = roles.index("assistant")
    return conversation[:first], conversation[first]["content"]


def _check_messages(messages: list[Message], where: str) -> None:
    if not messages:
        raise UnusableRow(f"{where}: found no message before the first answer; expected a prompt.")
    if messages[-1]["role"] != "user":
        raise UnusableRow(
            f"{where}: found a prompt that ends with a {messages[-1]['role']} message; "
            f"expected a user message last."
        )
    if not all(message["content"] for message in messages):
        raise UnusableRow(f"{where}: found an empty prompt; write its text, or take the row out.")


def _reference(row: SourceRow, column: str) -> str | None:
    if column not in row.values:
        raise UserError(
            f"{row.place}: found the columns {', '.join(row.values)}, and none of them is "
            f"{column}; write prompts.reference_column: <the column that holds the answer>."
        )
    value = row.values[column]
    if value is not None and not isinstance(value, str):
        raise UserError(
            f"{row.place}: column '{column}': found {found_text(value)}; expected a string."
        )
    return None if value is None else clean_text(value)


def _metadata(values: Mapping[str, object], used: set[str | None]) -> str | None:
    rest = {key: _jsonable(value) for key, value in values.items() if key not in used}
    rest = {key: value for key, value in rest.items() if value is not None}
    return canonical_json(rest) if rest else None


def _jsonable(value: object) -> object:
    """A value that JSON has: NaN and infinities become null, dates and bytes become text."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
