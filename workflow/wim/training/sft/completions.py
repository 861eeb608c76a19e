"""Which completions a fine-tuning learns from."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from wim.dialogues.context import conversation
from wim.errors import UserError
from wim.prompts.splits import is_for_sft
from wim.settings.dialogues import SystemAs
from wim.settings.sft import REFERENCES, SftSettings
from wim.tables.files import read_candidates, read_tables
from wim.tables.schemas import CUT, PROMPTS, Message


@dataclass(frozen=True)
class Taught:
    """A completion to learn: an answer in its context, and the columns that its tokens are of."""

    context: list[Message]
    completion: str
    finish_reason: str = "stop"
    reasoning: str | None = None
    tokens: list[int] | None = None


def completion_splits(
    prompts: Sequence[Path],
    dialogues: Sequence[Path],
    settings: SftSettings,
    system: str | None,
    excluded: Counter[str],
    system_as: SystemAs = "system",
) -> tuple[list[Taught], list[Taught]]:
    """The completions to train on, and those held out.

    Args:
        prompts: All shards of the prompts.
        dialogues: All shards of the policy that the settings name; none for references.
        settings: Which completions are taken.
        system: The system message that precedes prompts of references that have none.
        excluded: Counts what is left out, by cause.
        system_as: Where the system message stands.

    Returns:
        Both in the order of the shards.

    Raises:
        UserError: There is no completion to train on.
    """
    columns = ["prompt_id", "messages", "split", "reference"]
    known = {row["prompt_id"]: row for row in read_tables(prompts, PROMPTS, columns).to_pylist()}
    spoken = (
        _references(known, system, system_as)
        if settings.completions == REFERENCES
        else _spoken(dialogues)
    )
    splits: dict[str, list[Taught]] = {"train": [], "eval": []}
    for prompt_id, taught in spoken:
        split = known[prompt_id]["split"]
        if split == "train" and not is_for_sft(prompt_id, settings.prompts):
            excluded["of prompts that are left to preferences"] += 1
        elif not taught.completion:
            excluded["empty"] += 1
        elif settings.finished and taught.finish_reason == CUT:
            excluded["cut off at max_new_tokens"] += 1
        else:
            splits[split].append(taught)
    if not splits["train"]:
        causes = ", ".join(f"{count} {cause}" for cause, count in sorted(excluded.items()))
        raise UserError(
            f"sft on {settings.completions}: nothing is left to train on; left out: "
            f"{causes or 'none'}. "
            "Look at dialogues.sampling.max_new_tokens, at `prompts` and `finished` of this sft, "
            "or for references at prompts.reference_column."
        )
    return splits["train"], splits["eval"]


Spoken = Iterator[tuple[str, Taught]]


def _references(
    known: Mapping[str, Mapping[str, Any]], system: str | None, system_as: SystemAs
) -> Spoken:
    """The prompts that have a reference, by their ids."""
    for prompt_id, row in known.items():
        if row["reference"] is not None:
            context = conversation(row["messages"], system, system_as)
            yield prompt_id, Taught(context, row["reference"])


def _spoken(dialogues: Sequence[Path]) -> Spoken:
    """The candidates of a policy's dialogues, by the ids of their prompts."""
    columns = [each.name for each in fields(Taught)]
    for path in dialogues:
        for row in read_candidates(path, ["prompt_id", *columns]).to_pylist():
            yield row.pop("prompt_id"), Taught(**row)
