"""A table of pairs as the datasets that TRL's trainers take."""

from pathlib import Path
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.tables.files import read_table
from wim.tables.schemas import PAIRS

if TYPE_CHECKING:
    from datasets import Dataset


def preference_splits(pairs: Path) -> "tuple[Dataset, Dataset]":
    """The pairs to train on, and those held out.

    Returns:
        Datasets of TRL's columns prompt, chosen and rejected, and the ids of each pair.

    Raises:
        UserError: There is no pair to train on.
    """
    train, held_out = (preference_dataset(pairs, split) for split in ("train", "eval"))
    if not len(train):
        raise UserError(f"{pairs}: no row has the split 'train'; nothing to train on.")
    return train, held_out


def preference_dataset(pairs: Path, split: str) -> "Dataset":
    """The pairs of a split: TRL's columns prompt, chosen and rejected, and the ids of each."""
    import pyarrow.compute as pc
    from datasets import Dataset

    ids = ["prompt_id", "chosen_id", "rejected_id"]
    table = read_table(pairs, PAIRS, ["prompt", "chosen", "rejected", *ids, "split"])
    rows = table.filter(pc.equal(table["split"], split)).drop(["split"])
    return Dataset.from_list(rows.to_pylist())
