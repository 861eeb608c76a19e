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
            fenced = FENCE.match(value["code"])
            return Proposal(value["thought"], value["name"], fenced[1] if fenced else value["code"])
        wanting = wanting or f"found a JSON object without a text at {', '.join(missing)}"
    raise Unreadable(
        f"{wanting or 'found no JSON object'}; answer with one JSON object and nothing else: "
        '{"thought": "...", "name": "...", "code": "def ..."}.'
    )
