"""Completions as the datasets that TRL's SFTTrainer takes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.dialogues.context import conversation
from wim.errors import UserError
from wim.prompts.splits import is_for_sft
from wim.settings.sft import REFERENCES, SftSettings
from wim.tables.files import read_candidates, read_tables
from wim.tables.schemas import PROMPTS, Message

if TYPE_CHECKING:
    from datasets import Dataset


def completion_splits(
    prompts: Sequence[Path],
    dialogues: Sequence[Path],
    settings: SftSettings,
    system: str | None,
    excluded: Counter[str],
) -> "tuple[Dataset, Dataset]":
    """The completions to train on, and those held out.

    Args:
        prompts: All shards of the prompts.
        dialogues: All shards of the policy that the settings name; none for references.
        settings: Which completions are taken.
        system: The system message that precedes prompts of references that have none.
        excluded: Counts what is left out, by cause.

    Returns:
        Datasets of TRL's columns prompt and completion, in the order of the shards.

    Raises:
        UserError: There is no completion to train on.
    """
    from datasets import Dataset

    columns = ["prompt_id", "messages", "split", "reference"]
    known = {row["prompt_id"]: row for row in read_tables(prompts, PROMPTS, columns).to_pylist()}
    spoken = (
        _references(known, system) if settings.completions == REFERENCES else _spoken(dialogues)
    )
    splits: dict[str, list[dict[str, object]]] = {"train": [], "eval": []}
    for prompt_id, context, completion, finished in spoken:
        split = known[prompt_id]["split"]
        if split == "train" and not is_for_sft(prompt_id, settings.prompts):
            excluded["of prompts that are left to preferences"] += 1
        elif not completion:
            excluded["empty"] += 1
        elif settings.finished and not finished:
            excluded["cut off at max_new_tokens"] += 1
        else:
            answer = [{"role": "assistant", "content": completion}]
            splits[split].append({"prompt": context, "completion": answer})
    if not splits["train"]:
        causes = ", ".join(f"{count} {cause}" for cause, count in sorted(excluded.items()))
        raise UserError(
            f"sft on {settings.completions}: nothing is left to train on; left out: "
            f"{causes or 'none'}. "
            "Look at dialogues.sampling.max_new_tokens, at `prompts` and `finished` of this sft, "
            "or for references at prompts.reference_column."
        )
    return Dataset.from_list(splits["train"]), Dataset.from_list(splits["eval"])


Spoken = Iterator[tuple[str, list[Message], str, bool]]


def _references(known: Mapping[str, Mapping[str, Any]], system: str | None) -> Spoken:
    """(prompt_id, context, completion, finished) of the prompts that have a reference."""
    for prompt_id, row in known.items():
        if row["reference"] is not None:
            yield prompt_id, conversation(row["messages"], system), row["reference"], True


def _spoken(dialogues: Sequence[Path]) -> Spoken:
    """(prompt_id, context, completion, finished) of the candidates of a policy's dialogues."""
    columns = ["prompt_id", "context", "completion", "finish_reason"]
    for path in dialogues:
        for row in read_candidates(path, columns).to_pylist():
            finished = row["finish_reason"] != "length"
            yield row["prompt_id"], row["context"], row["completion"], finished
