"""Read a proposer's answer: a JSON object with thought, name and code."""

import json
import re
from dataclasses import dataclass

from wim.errors import UserError

KEYS = ("thought", "name", "code")
FENCE = re.compile(r"^\s*```[a-z]*\n(.*?)\n?```\s*$", re.DOTALL)
LONGEST = 100_000


class Unreadable(UserError):
    """An answer that is no proposal, with what the proposer is to write."""


@dataclass(frozen=True)
class Proposal:
    """What a proposer wrote."""

    thought: str
    name: str
    code: str


def whole_characters(text: str) -> str:
    """A text that can be stored: halves of characters, which JSON may escape, are question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def read_answer(text: str) -> Proposal:
    """The proposal in an answer: its first JSON object that has the three keys.

    Line breaks within the texts of the object are read as they are. Raises Unreadable.
    """
    decoder, wanting = json.JSONDecoder(strict=False), ""
    for place in [found.start() for found in re.finditer(r"\{", text[:LONGEST])]:
        try:
            value, _ = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            continue
        if not isinstance(value, dict):
            continue
        missing = [key for key in KEYS if not isinstance(value.get(key), str)]
        if not missing:
            thought, name, code = (whole_characters(value[key]) for key in KEYS)
            fenced = FENCE.match(code)
            return Proposal(thought, name, fenced[1] if fenced else code)
        wanting = wanting or f"found a JSON object without a text at {', '.join(missing)}"
    raise Unreadable(
        f"{wanting or 'found no JSON object'}; answer with one JSON object and nothing else: "
        '{"thought": "...", "name": "...", "code": "def ..."}.'
    )
