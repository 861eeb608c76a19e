"""Escapes special tokens in user text so that it cannot end its turn in the chat template.

Without it a response could end its own turn and answer in the judge's place.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from wim.tables.schemas import Message

# How the chat templates of open models spell what begins and ends turns. A server at an
# address does not report which of them are its own.
SPELLINGS = (
    r"<\|[^<>|\n]{1,64}\|?>",
    r"<[^<>|\n]{1,64}\|>",
    r"<\uff5c[^<>\uff5c\n]{1,64}\uff5c>",
    r"</?s>",
    r"<(?:bos|eos|pad|unk|mask|BOS_TOKEN|EOS_TOKEN)>",
    r"<(?:start|end)_of_\w{1,32}>",
    r"<</?SYS>>",
    r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|IMG|THINK)\]",
    # What is written around reasoning, which templates take out of earlier turns.
    r"</?(?:think|thinking|thought|reasoning|seed:think)>",
    r"\u25c1/?think\u25b7",
)
WORD_JOINER = "\u2060"


def special_tokens(tokenizer: Any) -> set[str]:
    """The special tokens of a staged model's tokenizer."""
    added = tokenizer.added_tokens_decoder.values()
    return {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)


def special_token_pattern(
    tokens: Iterable[str] = (), spellings: Sequence[str] = SPELLINGS
) -> re.Pattern[str]:
    """The pattern that matches a special token in a text.

    Args:
        tokens: Special tokens that the model is known to have.
        spellings: Patterns of special tokens that it may have besides; none where `tokens` has
            all of them.
    """
    known = [re.escape(token) for token in sorted(tokens, key=len, reverse=True) if token]
    return re.compile("|".join([*known, *spellings]) or r"(?!)")


def escape_special_tokens(text: str, pattern: re.Pattern[str]) -> str:
    """The text with a word joiner (U+2060) after the first character of each special token."""
    return pattern.sub(lambda found: found[0][0] + WORD_JOINER + found[0][1:], text)


def escaped_messages(messages: Iterable[Message], pattern: re.Pattern[str]) -> list[Message]:
    """The messages with the special tokens in their contents escaped."""
    return [
        {"role": each["role"], "content": escape_special_tokens(each["content"], pattern)}
        for each in messages
    ]
