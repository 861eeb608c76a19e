"""Which tokenised pairs can be trained on."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wim.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("wim.training")
NO_ROOM = "the prompt alone fills max_length"
NO_PROMPT = "nothing of the prompt is left in front of the completions"
ONE_SIDED = "one side has no tokens"
ALIKE = "both sides are the same up to max_length"


def usable_pairs(dataset: "Dataset", split: str, max_length: int, context: int | None) -> "Dataset":
    """The pairs of a tokenised split that have something to learn from; others are counted.

    Completions that are cut off at max_length are counted as well.

    Args:
        dataset: The tokenised split.
        split: Its name.
        max_length: The most tokens of a sequence.
        context: The longest sequence that the model takes, if it has a limit.

    Raises:
        UserError: A pair is longer than the context, or none is left to train on.
    """
    excluded: Counter[str] = Counter()
    kept, cut, longest = [], 0, 0
    columns = (dataset[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids"))
    for place, (prompt, chosen, rejected) in enumerate(zip(*columns, strict=True)):
        cause = _cause(prompt, chosen, rejected, max_length)
        if cause is not None:
            excluded[cause] += 1
            continue
        length = len(prompt) + max(len(chosen), len(rejected))
        kept.append(place)
        cut += length > max_length
        longest = max(longest, min(length, max_length))
    causes = ", ".join(f"{count}: {cause}" for cause, count in sorted(excluded.items()))
    if not kept and split == "train":
        raise UserError(
            f"training: of {len(dataset)} pairs of the split '{split}' none can be trained on "
            f"({causes}). Raise training.max_length (now {max_length}), or look at the pairs."
        )
    if context is not None and longest > context:
        raise UserError(
            f"training: a pair of the split '{split}' has {longest} tokens, and the model takes "
            f"{context}; write training.max_length: {context}, which cuts completions off there, "
            "or less."
        )
    if causes:
        logger.warning("pairs: of %d of the split '%s' left out %s", len(dataset), split, causes)
    if cut:
        logger.warning(
            "pairs: %d of %d of the split '%s' have a completion cut off at %d tokens",
            cut, len(kept), split, max_length,
        )  # fmt: skip
    return dataset if len(kept) == len(dataset) else dataset.select(kept)


def _cause(
    prompt: Sequence[int], chosen: Sequence[int], rejected: Sequence[int], max_length: int
) -> str | None:
    if len(prompt) >= max_length:
        return NO_ROOM
    if not prompt:
        return NO_PROMPT
    if not chosen or not rejected:
        return ONE_SIDED
    room = max_length - len(prompt)
    if list(chosen[:room]) == list(rejected[:room]):
        return ALIKE
    return None
