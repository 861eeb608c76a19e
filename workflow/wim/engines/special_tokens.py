"""Texts in which no special token stands, for servers that would read it as one."""

import re
from collections.abc import Callable, Iterable
from typing import Any

# How the chat templates of open models spell what opens and ends turns. A server behind an
# address does not say which of them are its own.
SPELLINGS = (
    r"<\|[^<>|\n]{1,64}\|?>",
    r"<[^<>|\n]{1,64}\|>",
    r"<\uff5c[^<>\uff5c\n]{1,64}\uff5c>",
    r"</?s>",
    r"<(?:bos|eos|pad|unk|mask|BOS_TOKEN|EOS_TOKEN)>",
    r"<(?:start|end)_of_\w{1,32}>",
    r"<</?SYS>>",
    r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|IMG|THINK)\]",
)


def inert_with(tokens: Iterable[str] = ()) -> Callable[[str], str]:
    """A function that puts a word joiner (U+2060) into each special token of a text.

    Without it a response could end its own turn and answer in the judge's place. tokens:
    those that the model is known to have, besides the usual spellings.
    """
    known = [re.escape(token) for token in sorted(tokens, key=len, reverse=True) if token]
    pattern = re.compile("|".join([*known, *SPELLINGS]))
    return lambda text: pattern.sub(lambda found: found[0][0] + "\u2060" + found[0][1:], text)


def special_tokens(tokenizer: Any) -> set[str]:
    """The special tokens of a staged model's tokenizer."""
    added = tokenizer.added_tokens_decoder.values()
    return {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
