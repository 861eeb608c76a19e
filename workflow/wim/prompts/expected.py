"""How many prompts a run has, and how long they are."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim import paths

if TYPE_CHECKING:
    from wim.settings.prompts import PromptSettings

STAGED = Path(paths.PROMPTS)
CHARACTERS = 4
TOKENS_PER_WORD = 2
WITHOUT_FILES = 1000


@dataclass(frozen=True)
class Prompts:
    """The number of prompts, mean and longest length in tokens, and where that is known from."""

    count: int
    mean: float
    longest: int
    known_from: str


def prompts_of(
    settings: "PromptSettings", count: int | None = None, tokens: int | None = None
) -> Prompts:
    """The prompts of the staged table, else of the files that the settings name.

    Without either as many as the limit, of the greatest length that the settings allow. `count`
    and `tokens` (of each prompt) replace what is found.
    """
    if STAGED.is_file():
        found = _measured(_staged_lengths(), f"rows of {STAGED}")
    elif settings.topics:
        words = settings.topics.max_words
        asked = settings.topics.number
        found = Prompts(
            asked, words * TOKENS_PER_WORD, words * TOKENS_PER_WORD, "prompts.topics.number"
        )
    elif all(Path(name).exists() for name in settings.files):
        found = _measured(_lengths_in_files(settings), f"rows of {', '.join(settings.files)}")
    else:
        longest = -(-settings.max_chars // CHARACTERS)
        rows = settings.limit or WITHOUT_FILES
        source = "prompts.limit" if settings.limit else "assumed, for want of files"
        found = Prompts(rows, float(longest), longest, f"{source}, of prompts.max_chars each")
    if settings.limit and settings.limit < found.count:
        found = Prompts(settings.limit, found.mean, found.longest, "prompts.limit")
    return Prompts(
        count or found.count,
        float(tokens or found.mean),
        tokens or found.longest,
        "--prompts" if count else found.known_from,
    )


def _measured(characters: list[int], known_from: str) -> Prompts:
    mean = sum(characters) / max(1, len(characters)) / CHARACTERS
    longest = -(-max(characters, default=0) // CHARACTERS)
    return Prompts(len(characters), mean, longest, known_from)


def _staged_lengths() -> list[int]:
    from wim.tables.files import read_table
    from wim.tables.schemas import PROMPTS

    column = read_table(STAGED, PROMPTS, ["messages"]).column(0)
    return [_characters(messages) for messages in column.to_pylist()]


def _lengths_in_files(settings: "PromptSettings") -> list[int]:
    from wim.prompts.ingest import keep_prompts, read_prompts

    kept, _ = keep_prompts(read_prompts(settings).distinct.values(), settings)
    return [_characters(prompt.messages) for prompt in kept]


def _characters(messages: Any) -> int:
    return sum(len(message["content"]) for message in messages)
