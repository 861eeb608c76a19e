"""The prompts: identified, filtered, split and sharded by their content alone.

A prompt's id, split and shard depend on its messages and on nothing else, and whether it is
kept depends on other prompts only through `limit`. So an edit of one row moves no other row.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.prompts.messages import UnusableRow
from wim.prompts.parse import parse_row
from wim.prompts.readers import read_rows
from wim.prompts.splits import shard_of, share_of
from wim.provenance.digest import digest_of
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import PROMPTS, Prompt

if TYPE_CHECKING:
    from wim.settings.prompts import PromptSettings

logger = logging.getLogger(__name__)

CAUSES = ("too short", "too long", "left out by fraction", "left out by limit")


@dataclass
class Rows:
    """What the rows of the prompt files hold.

    Attributes:
        distinct: The prompts by id.
        read: The number of rows.
        unusable: The rows without a prompt, by cause.
        from_text: The rows whose messages were read out of one text.
        unused_system: The rows with a text for a system message that is not used, by column.
        unused_context: The rows with what looks like a part of the prompt and is not used, likewise.
    """

    distinct: dict[str, Prompt] = field(default_factory=dict)
    read: int = 0
    unusable: Counter[str] = field(default_factory=Counter)
    from_text: int = 0
    unused_system: Counter[str] = field(default_factory=Counter)
    unused_context: Counter[str] = field(default_factory=Counter)


def ingest_prompts(settings: "PromptSettings", output: Path) -> None:
    """Read the prompt files and write the `prompts` table, one row per distinct prompt kept.

    The order of files and of rows in them leaves the output's bytes unchanged. Of equal prompts
    the row of the lexicographically smallest source stays, then one with a reference. With
    `limit`, an added prompt may push out another one, and no more than that.

    Raises:
        UserError: A file or a row cannot be read, or no prompt is left. Rows without a prompt are
            only counted if `unusable` is drop.
    """
    rows = read_prompts(settings)
    kept, left_out = keep_prompts(rows.distinct.values(), settings)
    splits = Counter(prompt.split for prompt in kept)
    duplicates = rows.read - rows.unusable.total() - len(rows.distinct)
    counts = ", ".join(
        [
            *([_shown_unusable(rows.unusable)] if settings.unusable == "drop" else []),
            f"{duplicates} duplicates",
            *(f"{left_out[cause]} {cause}" for cause in CAUSES),
        ]
    )
    if not kept:
        raise UserError(
            f"prompts: nothing left of {rows.read} rows in {', '.join(settings.files)}: {counts}; "
            f"write a lower prompts.min_chars, a higher prompts.max_chars or prompts.fraction."
        )
    logger.info(
        "prompts: %d read, %s, %d kept: %d train, %d eval",
        rows.read,
        counts,
        len(kept),
        splits["train"],
        splits["eval"],
    )
    if rows.from_text:
        logger.info("prompts: the turns of %d texts were read as messages", rows.from_text)
    for column, count in rows.unused_system.items():
        logger.warning(
            "prompts: %d rows have a text in the column '%s', which is not used; write "
            "prompts.system_column: %s to make it the prompt's system message",
            count,
            column,
            column,
        )
    for column, count in rows.unused_context.items():
        logger.warning(
            "prompts: %d rows have something in the column '%s', which is kept as metadata and read "
            "by no model; put it into the prompt's text if it belongs to it",
            count,
            column,
        )
    write_table(output, PROMPTS, as_arrow(PROMPTS, kept))


def read_prompts(settings: "PromptSettings") -> Rows:
    """The prompts in the files; raises UserError where one, or a row in it, cannot be read."""
    rows = Rows()
    for source in settings.files:
        for row in read_rows(source, settings.split):
            rows.read += 1
            try:
                parsed = parse_row(row, settings)
            except UnusableRow as unusable:
                if settings.unusable == "refuse":
                    raise
                logger.debug("left out: %s", unusable)
                rows.unusable[unusable.cause] += 1
                continue
            prompt = parsed.prompt
            known = rows.distinct.get(prompt.prompt_id, prompt)
            rows.distinct[prompt.prompt_id] = min(known, prompt, key=_precedence)
            rows.from_text += parsed.from_text
            if parsed.unused_system:
                rows.unused_system[parsed.unused_system] += 1
            rows.unused_context.update(parsed.unused_context)
    return rows


def shard_prompts(prompts: Path, outputs: Sequence[Path]) -> None:
    """Write each prompt to the shard of its id; a shard without prompts is a table of no rows."""
    # In one piece, so that a shard's bytes do not depend on how the whole was stored.
    content = read_table(prompts, PROMPTS).combine_chunks()
    homes: list[list[int]] = [[] for _ in outputs]
    for row, name in enumerate(content.column("prompt_id").to_pylist()):
        homes[shard_of(name, len(outputs))].append(row)
    for rows, output in zip(homes, outputs, strict=True):
        write_table(output, PROMPTS, content.slice(0, 0) if not rows else content.take(rows))


def keep_prompts(
    prompts: Iterable[Prompt], settings: "PromptSettings"
) -> tuple[list[Prompt], Counter[str]]:
    """The prompts that pass the settings' filters, and how many were left out by each of CAUSES."""
    causes = [(prompt, _cause(prompt, settings)) for prompt in prompts]
    passed = [prompt for prompt, cause in causes if cause is None]
    passed.sort(key=lambda prompt: digest_of(["limit", prompt.prompt_id]))
    kept = passed[: settings.limit]
    left_out = Counter(cause for _, cause in causes if cause is not None)
    left_out["left out by limit"] = len(passed) - len(kept)
    return kept, left_out


def _shown_unusable(causes: Counter[str]) -> str:
    """The number of rows without a prompt, and in brackets of each cause."""
    each = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
    return f"{causes.total()} without a prompt" + (f" ({each})" if each else "")


def _cause(prompt: Prompt, settings: "PromptSettings") -> str | None:
    """Why a prompt is left out, by itself alone; None for one that is kept."""
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
