"""The content of an answer: a text, or a list of parts of text and of thinking."""

from collections.abc import Iterator, Mapping
from typing import Any

from wim.engines.transport.api_errors import NoAnswer

# Parts by their `type`. The text of a part is under one of the keys of TEXTS.
ANSWERS = frozenset(("text", "output_text", "refusal"))
THOUGHTS = frozenset(
    (
        *("thinking", "redacted_thinking", "thought", "summary_text", "reasoning"),
        *("reasoning_content", "reasoning_text", "reasoning.text", "reasoning.summary"),
        "reasoning.encrypted",
    )
)
TEXTS = ("text", "thinking", "reasoning", "reasoning_content", "content", "summary", "refusal")


def parts(content: Any) -> tuple[str | None, str | None]:
    """The text and the thinking of a message's content, each None where there is no such part.

    Raises:
        NoAnswer: A part is neither, such as an image or the call of a tool.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind is not None and kind not in ANSWERS | THOUGHTS:
            raise NoAnswer(f"the answer has a part that is no text ({kind})")
        thought = kind in THOUGHTS or (isinstance(part, Mapping) and part.get("thought") is True)
        (thoughts if thought else texts).extend(written(part))
    return _joined(texts), _joined(thoughts)


def written(content: Any) -> Iterator[str]:
    """The texts of a part, of a list of them, or of a text itself."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield from written(part)
    elif isinstance(content, Mapping):
        yield from (text for name in TEXTS if name in content for text in written(content[name]))


def _joined(texts: list[str]) -> str | None:
    return "".join(texts) if texts else None
