"""Parse a row of a prompt file: its prompt as messages, its reference answer, its metadata."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.prompts.messages import UnusableRow, clean_text, read_conversation
from wim.prompts.rows import SourceRow, found_names, found_text
from wim.prompts.splits import share_of
from wim.prompts.transcripts import SHOWN, messages_in_json, transcript_of
from wim.provenance.digest import canonical_json, row_id
from wim.tables.schemas import Message, Prompt

if TYPE_CHECKING:
    from wim.settings.prompts import PromptSettings

COLUMNS = ("prompt", "messages", "conversations", "instruction")
SYSTEM_COLUMNS = ("system", "system_prompt")
# What is often read before the prompt, and is metadata here.
CONTEXT_COLUMNS = ("context", "history", "input")


@dataclass(frozen=True)
class ParsedRow:
    """A row's prompt, and what is worth counting about how it was read.

    Attributes:
        prompt: The prompt.
        from_text: Whether its messages were read out of one text.
        unused_system: A column of what looks like the prompt's system message, and is not used.
        unused_context: Columns of what looks like a part of the prompt, and is not used.
    """

    prompt: Prompt
    from_text: bool
    unused_system: str | None
    unused_context: Sequence[str]


def parse_row(row: SourceRow, settings: "PromptSettings") -> ParsedRow:
    """The prompt that a row holds, as a string or as a conversation.

    A conversation is a list of {role, content} or, as in ShareGPT, of {from, value}. Its prompt is
    the messages before the first assistant message, and that message is the reference, unless
    `reference_column` names another; later turns are not used. Only under the column `prompt`, a
    list that ends with a user message is a prompt of several turns and kept whole. A system message
    without text is left out; that of `system_column` is put first. What a text that is a whole
    conversation becomes is decided by `transcripts`. The id is that of the messages after
    `clean_text`; the other columns, where not null, become metadata and do not enter it.

    Raises:
        UserError: A column is missing, or a text is a whole conversation and `transcripts` is
            refuse; names file, row and column.
        UnusableRow: The prompt is empty, of another type, has an unknown role, parts that are not
            text, or does not end with a user message.
    """
    column = _prompt_column(row, settings.column)
    where = f"{row.place}: column '{column}'"
    try:
        messages, reference, from_text = _conversation(row, column, settings, where)
        _check_messages(messages, where)
        messages = [*_system(row, settings.system_column, messages), *messages]
        if settings.reference_column is not None:
            reference = _text_in(row, settings.reference_column, "reference_column", "the answer")
        used = {column, settings.reference_column, settings.system_column, *_joined(row, column)}
        metadata = _metadata(row.values, used)
    except RecursionError:
        raise UserError(
            f"{row.place}: found lists or objects nested too deeply to be read; take them out."
        ) from None
    prompt_id = row_id(messages)
    prompt = Prompt(
        prompt_id=prompt_id,
        messages=messages,
        split="eval" if share_of(prompt_id, "eval") < settings.eval_fraction else "train",
        source=row.source,
        reference=reference or None,
        metadata=metadata,
    )
    context = [name for name in CONTEXT_COLUMNS if name not in used and row.values.get(name)]
    return ParsedRow(prompt, from_text, _unused_system(row, messages, used), context)


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
            f"{row.place}: found the columns {found_names(row.values)}, and none of them is "
            f"{' or '.join(names)}; write prompts.column: <the column that holds the prompt>."
        )
    return next((name for name in present if row.values[name] is not None), present[0])


def _conversation(
    row: SourceRow, column: str, settings: "PromptSettings", where: str
) -> tuple[list[Message], str | None, bool]:
    """The prompt in a column, the answer that follows it, and whether one text held the turns."""
    value = _with_input(row, column)
    if not isinstance(value, str):
        return *read_conversation(value, where, may_be_whole=column == "prompt"), False
    if settings.transcripts != "text":
        turns = messages_in_json(value)
        found = transcript_of(value) if turns is None else None
        if (turns or found) and settings.transcripts == "refuse":
            form = "messages as JSON" if turns else f"turns that begin with {SHOWN}"
            raise UserError(
                f"{where}: found a whole conversation as one text ({form}); write "
                "prompts.transcripts: read to read its turns, or text to take such a text as it is."
            )
        if turns is not None:
            return *read_conversation(turns, where, may_be_whole=column == "prompt"), True
        if found is not None:
            return *found, True
    return [Message(role="user", content=clean_text(value))], None, False


def _system(row: SourceRow, column: str | None, messages: list[Message]) -> list[Message]:
    """The system message that a column adds to a conversation."""
    text = _text_in(row, column, "system_column", "the system message") if column else None
    if not text:
        return []
    own = [message["content"] for message in messages if message["role"] == "system"]
    if text in own:
        return []
    if own:
        raise UserError(
            f"{row.place}: column '{column}': found a system message, and another one in the "
            "conversation; take one of them out, or leave prompts.system_column out."
        )
    return [Message(role="system", content=text)]


def _unused_system(row: SourceRow, messages: list[Message], used: set[str | None]) -> str | None:
    """A column with a text for the system message of a conversation that has none."""
    if messages[0]["role"] == "system":
        return None
    texts = {name: row.values.get(name) for name in SYSTEM_COLUMNS if name not in used}
    held = (name for name, text in texts.items() if isinstance(text, str) and clean_text(text))
    return next(held, None)


def _check_messages(messages: list[Message], where: str) -> None:
    if not messages:
        raise UnusableRow(
            f"{where}: found no message before the first answer; expected a prompt.",
            "nothing before the first answer",
        )
    if messages[-1]["role"] != "user":
        raise UnusableRow(
            f"{where}: found a prompt that ends with a {messages[-1]['role']} message; "
            f"expected a user message last.",
            "no user message last",
        )
    if not all(message["content"] for message in messages):
        raise UnusableRow(
            f"{where}: found an empty prompt; write its text, or take the row out.",
            "an empty message",
        )


def _text_in(row: SourceRow, column: str, key: str, held: str) -> str | None:
    """The clean text in a column that the setting `key` names; None where it is null."""
    if column not in row.values:
        raise UserError(
            f"{row.place}: found the columns {found_names(row.values)}, and none of them is "
            f"{column}; write prompts.{key}: <the column that holds {held}>."
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
