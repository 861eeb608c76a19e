"""Tell texts that are whole conversations from prompts, and read their turns."""

import json
import re

from wim.prompts.messages import ROLES, clean_text
from wim.tables.schemas import Message

# How turns begin: in Anthropic's HH-RLHF (arXiv:2204.05862), and in OpenAssistant's Guanaco form.
TURNS = (re.compile(r"(?:\A|\n\n)(Human|Assistant):"), re.compile(r"### (Human|Assistant):"))
SHOWN = "Human: and Assistant:, or ### Human: and ### Assistant:"


def transcript_of(text: str) -> tuple[list[Message], str | None] | None:
    """The prompt and the answer of a transcript; None for a text that is none.

    A transcript begins with `Human:` and has a turn of `Assistant:` after an empty line; or the
    same with `### ` before the names, wherever a turn begins. Its prompt is what comes before the
    last turn of the assistant, and that turn is the answer, unless it is empty or the human has the
    last word.
    """
    text = clean_text(text)
    for form in TURNS:
        starts = list(form.finditer(text))
        names = [start[1] for start in starts]
        if not starts or starts[0].start() or names[0] != "Human" or "Assistant" not in names:
            continue
        ends = [start.start() for start in starts[1:]] + [len(text)]
        messages = [
            Message(role=ROLES[start[1].lower()], content=clean_text(text[start.end() : end]))
            for start, end in zip(starts, ends, strict=True)
        ]
        if messages[-1]["role"] == "user":
            return messages, None
        return messages[:-1], messages[-1]["content"] or None
    return None


def messages_in_json(text: str) -> list[object] | None:
    """The messages of a conversation that is written as JSON; None for any other text."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not value:
        return None
    keys = (("role", "content"), ("from", "value"))
    every = all(
        isinstance(turn, dict) and any(role in turn and content in turn for role, content in keys)
        for turn in value
    )
    return value if every else None
