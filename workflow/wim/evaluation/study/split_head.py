"""A head's values on recorded critiques, none of whose prompts it was fitted to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wim.critiques.head import FOLDS, Head, can_be_fitted, fitted, fold_of
from wim.evaluation.study.encoded_set import EncodedSet
from wim.settings.critique_rewards import NamedReward

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class SplitHead:
    """The values of a head on a set, and how it was split from what it was fitted to.

    Attributes:
        values: (judgements,).
        split: How, in words.
        heads: The heads that gave them.
    """

    values: "Array"
    split: str
    heads: Sequence[Head]


def split_head(
    target: EncodedSet, reward: NamedReward, sets: Mapping[str, EncodedSet], place: str
) -> SplitHead | None:
    """The values of a head that has seen no prompt of the set; None where none can be fitted.

    It is fitted to the other sources that the reward learns from, without the prompts that the set
    shares with them; where there are none, to the set's own critiques, by folds of prompts.

    Args:
        target: The set.
        reward: A reward with a head.
        sets: All sets, by name.
        place: The key of the setting, for errors.
    """
    import numpy as np
    import pandas as pd

    others = [sets[name] for name in reward.learns_from if name in sets and name != target.name]
    prompts = target.judgements["prompt"]
    statuses = target.judgements["status"].tolist()
    vectors = target.vectors(reward)
    parts = [each.examples(reward) for each in others if each.recorded.has_numbers]
    examples = pd.concat(parts) if parts else target.examples(reward)
    if parts:
        apart = examples[~examples["prompt"].isin(set(prompts))]
        names = ", ".join(each.name for each in others if each.recorded.has_numbers)
        if can_be_fitted(apart, reward.fit):
            left_out = examples["prompt"].nunique() - apart["prompt"].nunique()
            head = fitted(apart, reward.fit, place)
            split = f"by source: fitted to {names}" + (
                f", without {left_out} prompts that this set has too" if left_out else ""
            )
            return SplitHead(head.values(vectors, statuses), split, [head])
    examples = target.examples(reward)
    folds = prompts.map(fold_of)
    if not target.recorded.has_numbers or not all(
        can_be_fitted(examples[examples["prompt"].map(fold_of) != fold], reward.fit)
        for fold in folds.unique()
    ):
        return None
    heads = [
        fitted(examples[examples["prompt"].map(fold_of) != fold], reward.fit, place, fold)
        for fold in sorted(folds.unique())
    ]
    by_fold = {head.fold: head.values(vectors, statuses) for head in heads}
    values = np.array([by_fold[fold][row] for row, fold in enumerate(folds)])
    return SplitHead(
        values, f"by prompt: {FOLDS} folds of this set's own critiques and numbers", heads
    )
