"""Read the forms in which files hold a conversation as messages with clean text."""

import re
import unicodedata
from collections.abc import Mapping

from wim.errors import UserError
from wim.prompts.rows import found_text
from wim.tables.schemas import Message

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
TEXT_PARTS = ("text", "input_text", "output_text")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class UnusableRow(UserError):
    """A row that holds no prompt. `cause` says why in a few words, by which rows are counted."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


def clean_text(text: str) -> str:
    """A text in Unicode NFC, with LF as line end and no outer white space.

    Characters that Parquet or a tokenizer refuses are replaced silently, since one of them should
    not stop a run: NUL is dropped, a lone surrogate becomes U+FFFD.
    """
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", LONE_SURROGATE.sub("\ufffd", text)).strip()


def read_conversation(
    value: object, where: str, may_be_whole: bool
) -> tuple[list[Message], str | None]:
    """The prompt of a conversation, and the answer that follows it, None where there is none.

    The prompt is what comes before the first answer, or the whole conversation if it ends with a
    user message and `may_be_whole`. What comes after the answer is not looked at. A system message
    without text is left out.

    Args:
        value: A list of {role, content} or of {from, value}, or a struct of such lists. A content
            is a string, or a list of parts {type: text, text}, which are joined by line ends.
        where: The file, row and column, which errors begin with.
        may_be_whole: Whether a conversation may be a prompt of several turns.

    Raises:
        UnusableRow: The value is no conversation, or a message in the prompt has an unknown role
            or a content that is not text.
    """
    turns = _structs(value) if isinstance(value, Mapping) else value
    if not isinstance(turns, list):
        raise UnusableRow(
            f"{where}: found {found_text(value)}; expected a string, or a list of "
            f"{{role, content}} or {{from, value}}.",
            "no text",
        )
    numbered = [(n, turn) for n, turn in enumerate(turns, start=1) if not _is_empty_system(turn)]
    roles = [_role(turn) for _, turn in numbered]
    whole = may_be_whole and roles[-1:] == ["user"]
    end = len(roles) if whole or "assistant" not in roles else roles.index("assistant")
    messages = [_message(turn, f"{where}, message {n}") for n, turn in numbered[:end]]
    if end == len(roles):
        return messages, None
    number, answer = numbered[end]
    return messages, _answer(answer, f"{where}, message {number}")


def _structs(value: Mapping[str, object]) -> list[dict[str, object]] | None:
    """A struct of lists, as older `datasets` store a list of structs; None if it is not one."""
    lists = [each for each in value.values() if isinstance(each, list)]
    if len(lists) != len(value) or len({len(each) for each in lists}) != 1:
        return None
    return [dict(zip(value, turn, strict=True)) for turn in zip(*lists, strict=True)]


def _keys(turn: object) -> tuple[str, str]:
    # Parquet gives the keys of both forms where a file mixes them, with nulls.
    named = isinstance(turn, Mapping) and turn.get("role") is not None
    return ("role", "content") if named else ("from", "value")


def _role(turn: object) -> str | None:
    """One of the three roles of messages; None for any other."""
    role = turn.get(_keys(turn)[0]) if isinstance(turn, Mapping) else None
    return ROLES.get(role) if isinstance(role, str) else None


def _is_empty_system(turn: object) -> bool:
    if _role(turn) != "system" or not isinstance(turn, Mapping):
        return False
    content = turn.get(_keys(turn)[1])
    return content is None or (isinstance(content, str) and not clean_text(content))


def _message(turn: object, where: str) -> Message:
    if not isinstance(turn, Mapping):
        raise UnusableRow(
            f"{where}: found {found_text(turn)}; expected {{role, content}} or {{from, value}}.",
            "no messages",
        )
    role_key, content_key = _keys(turn)
    role = _role(turn)
    if role is None:
        raise UnusableRow(
            f"{where}: found the role {found_text(turn.get(role_key))}; expected one of "
            f"{', '.join(ROLES)}.",
            "unknown role",
        )
    return Message(role=role, content=_text(turn.get(content_key), content_key, where))


def _answer(turn: object, where: str) -> str | None:
    """The text of an answer; None where there is none, as in one that calls a tool."""
    key = _keys(turn)[1]
    content = turn.get(key) if isinstance(turn, Mapping) else None
    return _text(content, key, where) or None if content is not None else None


def _text(content: object, key: str, where: str) -> str:
    """The clean text of a content: a string, or the texts of its parts, joined by line ends."""
    if isinstance(content, str):
        return clean_text(content)
    parts = _structs(content) if isinstance(content, Mapping) else content
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        raise UnusableRow(
            f"{where}: found {found_text(content)} as {key}; expected a string, or a list of "
            "{type: text, text}.",
            "no text",
        )
    return clean_text("\n".join(_text_of_part(part, where) for part in parts))


def _text_of_part(part: Mapping[str, object], where: str) -> str:
    kind, text = part.get("type"), part.get("text")
    if kind not in TEXT_PARTS or not isinstance(text, str):
        raise UnusableRow(
            f"{where}: found a part of the type {found_text(kind)}; expected parts of the type "
            "text alone, as no stage reads images, sound or files.",
            "parts that are not text",
        )
    return text
