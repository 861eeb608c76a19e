"""Refuse text in a configuration that no file name, table or model can hold."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from wim.errors import UserError

NUL_OR_SURROGATE = re.compile("[\0\ud800-\udfff]")


def check_texts(values: Any) -> None:
    """Raise UserError, with one line for each, for texts with NUL or half of a character.

    YAML makes two halves (surrogates) of an emoji that is escaped as in JSON, `\\ud83d\\ude00`.
    """
    if problems := list(_problems(values, "")):
        raise UserError("\n".join(problems))


def _problems(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            # A name in a message is shown by its escapes.
            shown = ascii(name)[1:-1] if isinstance(name, str) else name
            yield from _of_text(name, f"{key}{shown}")
            yield from _problems(below, f"{key}{shown}.")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _problems(item, f"{key}{number}.")
    else:
        yield from _of_text(value, key.removesuffix("."))


def _of_text(value: object, key: str) -> Iterator[str]:
    if isinstance(value, str) and (found := NUL_OR_SURROGATE.search(value)):
        kind = "NUL" if found[0] == "\0" else "half of a character that was escaped as in JSON"
        write = "take it out" if found[0] == "\0" else "write the character itself"
        yield f"{key}: found {found[0]!a} in it, {kind}; {write}."
