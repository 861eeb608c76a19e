"""The prompts: identified, filtered, split and sharded by their content alone.

A prompt's id, split and shard depend on its messages and on nothing else, and whether it is
kept depends on other prompts only through `limit`. So an edit of one row moves no other row.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.prompts.parse import UnusableRow, prompt_of
from wim.prompts.readers import read_rows
from wim.prompts.splits import shard_of, share_of
from wim.provenance.digest import digest_of
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import PROMPTS, Prompt

if TYPE_CHECKING:
    from wim.settings.prompts import PromptSettings

logger = logging.getLogger(__name__)

CAUSES = ("too short", "too long", "left out by fraction", "left out by limit")


def ingest_prompts(settings: "PromptSettings", output: Path) -> None:
    """Read the prompt files and write the `prompts` table, one row per distinct prompt kept.

    The order of files and of rows in them leaves the output's bytes unchanged. Of equal prompts
    the row of the lexicographically smallest source stays, then one with a reference. With
    `limit`, an added prompt may push out another one, and no more than that.

    Raises:
        UserError: A file or a row cannot be read, or no prompt is left. Rows without a prompt are
            only counted if `unusable` is drop.
    """
    read, without = 0, 0
    distinct: dict[str, Prompt] = {}
    for source in settings.files:
        for row in read_rows(source):
            read += 1
            try:
                prompt = prompt_of(row, settings)
            except UnusableRow as unusable:
                if settings.unusable == "refuse":
                    raise
                logger.debug("left out: %s", unusable)
                without += 1
                continue
            known = distinct.get(prompt.prompt_id, prompt)
            distinct[prompt.prompt_id] = min(known, prompt, key=_precedence)
    kept, left_out = keep_prompts(distinct.values(), settings)
    splits = Counter(prompt.split for prompt in kept)
    duplicates = read - without - len(distinct)
    counts = ", ".join(
        [
            *([f"{without} without a prompt"] if settings.unusable == "drop" else []),
            f"{duplicates} duplicates",
            *(f"{left_out[cause]} {cause}" for cause in CAUSES),
        ]
    )
    if not kept:
        raise UserError(
            f"prompts: nothing left of {read} rows in {', '.join(settings.files)}: {counts}; "
            f"write a lower prompts.min_chars, a higher prompts.max_chars or prompts.fraction."
        )
    logger.info(
        "prompts: %d read, %s, %d kept: %d train, %d eval",
        read,
        counts,
        len(kept),
        splits["train"],
        splits["eval"],
    )
    write_table(output, PROMPTS, as_arrow(PROMPTS, kept))


def shard_prompts(prompts: Path, outputs: Sequence[Path]) -> None:
    """Write each prompt to the shard of its id; a shard without prompts is a table of no rows."""
    # In one piece, so that a shard's bytes do not depend on how the whole was stored.
    content = read_table(prompts, PROMPTS).combine_chunks()
    shards = [shard_of(name, len(outputs)) for name in content.column("prompt_id").to_pylist()]
    for shard, output in enumerate(outputs):
        rows = [row for row, home in enumerate(shards) if home == shard]
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
