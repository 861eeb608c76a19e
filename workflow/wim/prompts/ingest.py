"""The prompts: told apart, selected, split and sharded by their content alone.

A prompt's id, split and shard depend on its messages and on nothing else, and whether it is
kept depends on other prompts only through `limit`. So an edit of one row moves no other row.
"""

import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.prompts.readers import SourceRow, found_text, read_rows
from wim.provenance.digest import canonical_json, digest_of, row_id
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import PROMPTS, Message, Prompt

if TYPE_CHECKING:
    from wim.settings.prompts import PromptSettings

logger = logging.getLogger(__name__)

COLUMNS = ("prompt", "messages", "conversations", "instruction")
ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
CAUSES = ("too short", "too long", "left out by fraction", "left out by limit")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
SHARE_DIGITS = 13  # 52 bits, so that a share is an exact float below 1.


class UnusableRow(UserError):
    """A row that holds no prompt."""


def ingest_prompts(settings: "PromptSettings", output: Path) -> None:
    """Read the prompt files and write the `prompts` table, one row per distinct prompt kept.

    The order of files and of rows in them leaves the output's bytes unchanged. Of equal prompts
    the row of the lexicographically smallest source stays, then one with a reference. With
    `limit`, an added prompt may push out another one, and no more than that.
    Raises UserError for a file or a row that cannot be read, and if no prompt is left; rows
    without a prompt are only counted where `unusable` is drop.
    """
    read, without = 0, 0
    distinct: dict[str, Prompt] = {}
    for source in settings.files:
        for row in read_rows(source):
            read += 1
            try:
                prompt = prompt_of(row, settings)
            except UnusableRow as unusable:
                if settings.unusable == "refuse":
                    raise
                logger.debug("left out: %s", unusable)
                without += 1
                continue
            known = distinct.get(prompt.prompt_id, prompt)
            distinct[prompt.prompt_id] = min(known, prompt, key=_precedence)
    kept, left_out = select_prompts(distinct.values(), settings)
    splits = Counter(prompt.split for prompt in kept)
    duplicates = read - without - len(distinct)
    counts = ", ".join(
        [
            *([f"{without} without a prompt"] if settings.unusable == "drop" else []),
            f"{duplicates} duplicates",
            *(f"{left_out[cause]} {cause}" for cause in CAUSES),
        ]
    )
    if not kept:
        raise UserError(
            f"prompts: nothing left of {read} rows in {', '.join(settings.files)}: {counts}; "
            f"write a lower prompts.min_chars, a higher prompts.max_chars or prompts.fraction."
        )
    logger.info(
        "prompts: %d read, %s, %d kept: %d train, %d eval",
        *(read, counts, len(kept), splits["train"], splits["eval"]),
    )
    write_table(output, PROMPTS, as_arrow(PROMPTS, kept))


def shard_prompts(prompts: Path, outputs: Sequence[Path]) -> None:
    """Write each prompt to the shard of its id; a shard without prompts is a table of no rows."""
    # In one piece, so that a shard's bytes do not depend on how the whole was stored.
    content = read_table(prompts, PROMPTS).combine_chunks()
    shards = [shard_of(name, len(outputs)) for name in content.column("prompt_id").to_pylist()]
    for shard, output in enumerate(outputs):
        rows = [row for row, home in enumerate(shards) if home == shard]
        write_table(output, PROMPTS, content.slice(0, 0) if not rows else content.take(rows))


def shard_of(prompt_id: str, shards: int) -> int:
    """The shard, 0 to shards - 1, of a prompt: the first 64 bits of its id, modulo `shards`."""
    return int(prompt_id[:16], 16) % shards


def share_of(prompt_id: str, salt: str) -> float:
    """A prompt's fixed place in [0, 1), uniform over prompts and independent between salts."""
    return int(digest_of([salt, prompt_id])[:SHARE_DIGITS], 16) / float(16**SHARE_DIGITS)


def clean_text(text: str) -> str:
    """A text in Unicode NFC, with LF as line end and no outer white space.

    What Parquet or a tokenizer would stumble over goes without a word, since one such
    character should not stop a run: NUL is dropped, a lone surrogate becomes U+FFFD.
    """
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", LONE_SURROGATE.sub("\ufffd", text)).strip()


def select_prompts(
    prompts: Iterable[Prompt], settings: "PromptSettings"
) -> tuple[list[Prompt], Counter[str]]:
    """The prompts that are kept, and how many were left out by each of CAUSES."""
    causes = [(prompt, _cause(prompt, settings)) for prompt in prompts]
    passed = [prompt for prompt, cause in causes if cause is None]
    passed.sort(key=lambda prompt: digest_of(["limit", prompt.prompt_id]))
    kept = passed[: settings.limit]
    left_out = Counter(cause for _, cause in causes if cause is not None)
    left_out["left out by limit"] = len(passed) - len(kept)
    return kept, left_out


def _cause(prompt: Prompt, settings: "PromptSettings") -> str | None:
    """Why a prompt is left out, whatever the other prompts are; None for one that is kept."""
    chars = sum(len(message["content"]) for message in prompt.messages)
    if chars < settings.min_chars:
        return "too short"
    if chars > settings.max_chars:
        return "too long"
    if share_of(prompt.prompt_id, "fraction") >= settings.fraction:
        return "left out by fraction"
    return None


def _precedence(prompt: Prompt) -> tuple[str, bool, str, bool, str]:
    """Orders rows of equal prompts, whatever their order in the files."""
    reference, metadata = prompt.reference, prompt.metadata
    return prompt.source, reference is None, reference or "", metadata is None, metadata or ""


def prompt_of(row: SourceRow, settings: "PromptSettings") -> Prompt:
    """The prompt that a row holds, as a string or as a conversation.

    A conversation is a list of {role, content} or, as in ShareGPT, of {from, value}. Its prompt is
    the messages before the first assistant message, and that message is the reference, unless
    `reference_column` names another; later turns are not used. Only under the column `prompt`, a
    list that ends with a user message is a prompt of several turns and kept whole. A system message
    without text is left out. The id is that of the messages after `clean_text`; the other columns,
    where not null, become metadata and do not enter it.
    Raises UserError, naming file, row and column, for a column that is missing, and UnusableRow for
    a prompt that is empty, of another type, with an unknown role or not ending with a user message.
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
    """The column whose text belongs to the prompt: Alpaca's `input`, beside `instruction`."""
    text = row.values.get("input")
    return {"input"} if column == "instruction" and isinstance(text, str) and text else set()


def _with_input(row: SourceRow, column: str) -> object:
    """The prompt column's value; an instruction with the text that it is about below it."""
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
    """A value as JSON can say it: no number becomes null, dates and bytes become text."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
