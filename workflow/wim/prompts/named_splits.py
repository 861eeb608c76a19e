"""Which split of a data set a file belongs to, by the names that `datasets` knows."""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from wim.errors import UserError

# The words for splits of https://huggingface.co/docs/hub/datasets-file-names-and-splits.
WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
SHARD = re.compile(r"(?:.*-)?(?P<split>[\w.]+)-\d{5}-of-\d{5}\..+")


def split_named(name: PurePosixPath) -> str | None:
    """The split that a file's relative path names; None if it names none.

    `data/train_sft-00000-of-00003.parquet` is of train_sft, `my_train.jsonl` and
    `train/0000.parquet` are of train, `dev.csv` is of validation.
    """
    shard = SHARD.fullmatch(name.name)
    if shard and _by_words(shard["split"]):
        return shard["split"]
    by_words = next(filter(None, map(_by_words, reversed(name.parts))), None)
    return by_words or (shard["split"] if shard else None)


def wanted_splits(found: Iterable[str], wanted: str | None, source: str) -> Sequence[str]:
    """Those of the splits found that are wanted: one, or several joined by +.

    Raises:
        UserError: Several were found and none is wanted, or a wanted one was not found.
    """
    names = list(found)
    shown = ", ".join(names)
    if wanted is None and len(names) > 1:
        raise UserError(
            f"prompts.files: {source}: found the splits {shown}; write prompts.split: {names[0]}, "
            f"or several as {names[0]}+{names[1]}."
        )
    chosen = names if wanted is None else wanted.split("+")
    missing = [name for name in chosen if name not in names]
    if missing:
        raise UserError(
            f"prompts.files: {source}: found the splits {shown}, and not {', '.join(missing)}; "
            "write prompts.split: <one of them>, or the path of a file or folder in it."
        )
    return chosen


def _by_words(name: str) -> str | None:
    """The split that the first of a name's words that means one stands for."""
    return next((WORDS[word] for word in re.split(r"[\W_]+", name.lower()) if word in WORDS), None)
