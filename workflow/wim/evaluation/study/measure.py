"""How often a reward is right on pairs, and how much more often than length and the cosine.

Intervals are of 95 %, and hold where pairs share their prompt (wim.evaluation.share_interval).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wim.evaluation.share_interval import balance_over_prompts, share_over_prompts
from wim.rewards.ties import without_noise
from wim.statistics import Estimate

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Pairs:
    """The pairs of a set, of each of which it is known which response is better.

    Attributes:
        prompts: (pairs,) the prompt of each.
        subsets: (pairs,) the subset of each; "" where there are none.
        longer: (pairs,) by how many characters the better response is longer.
        cosine: (pairs,) by how much its cosine with its critique is higher; NaN where there is
            none.
    """

    prompts: Sequence[str]
    subsets: Sequence[str]
    longer: "Array"
    cosine: "Array"


@dataclass(frozen=True)
class Measured:
    """A reward's figures on a set.

    Attributes:
        judge: Who judged.
        samples: How many judgements of a response are taken together.
        pairs: How many there are.
        judged: On how many both responses have a reward.
        prompts: Of how many prompts the judged ones are.
        accuracy: The share of judged pairs in which the better response has the higher reward; a
            tie counts half.
        less_length, less_cosine: The accuracy minus that of preferring the longer response, or of
            the cosine of response and critique, on the same pairs.
        over_one: Of several judgements, the accuracy minus that of one of them alone, on the same
            pairs.
        same_winner: Of several judgements, the share of pairs in which each of them alone has the
            same winner, or a tie.
        ties: The share of judged pairs with equal rewards.
        prefers_longer: The share of judged pairs in which the longer response has the higher
            reward; a tie counts half.
        better_is_shorter, better_is_longer: The accuracy where the better response is that.
        subsets: The accuracy by subset.
        tokens: What the judge wrote for both responses of a pair, in tokens; null where it is not
            known.
    """

    judge: str
    samples: int
    pairs: int
    judged: int
    prompts: int
    accuracy: Estimate
    less_length: Estimate
    less_cosine: Estimate
    over_one: Estimate
    same_winner: Estimate
    ties: Estimate
    prefers_longer: Estimate
    better_is_shorter: Estimate
    better_is_longer: Estimate
    subsets: Mapping[str, Estimate]
    tokens: float | None


def measured(
    pairs: Pairs,
    leads: "Array",
    judge: str,
    tokens: float | None,
    singles: "Array | None" = None,
) -> Measured:
    """The figures of a reward.

    Args:
        pairs: The set's pairs.
        leads: (pairs,) the better response's reward minus the other's; NaN where one has none.
        judge, tokens: See Measured.
        singles: (pairs, judgements) the leads by each judgement alone, of several.
    """
    import numpy as np

    if singles is None:
        singles = leads[:, None]
    alone = credits(singles)

    right = credits(leads)
    judged = ~np.isnan(right)
    prompts = np.asarray(pairs.prompts, dtype=object)
    subsets = np.asarray(pairs.subsets, dtype=object)
    by_length, by_cosine = credits(pairs.longer), credits(pairs.cosine)
    longer_has_more = np.where(pairs.longer > 0, right, 1 - right)

    def share(values: "Array", where: "Array") -> Estimate:
        rows = where & ~np.isnan(values)
        return share_over_prompts(values[rows], prompts[rows].tolist())

    def less(other: "Array") -> Estimate:
        rows = judged & ~np.isnan(other)
        return balance_over_prompts((right - other)[rows], prompts[rows].tolist())

    several = np.full(len(right), singles.shape[1] > 1) & ~np.isnan(alone).any(axis=1)
    same = (alone == alone[:, :1]).all(axis=1).astype(np.float64)

    return Measured(
        judge=judge,
        samples=singles.shape[1],
        pairs=len(right),
        judged=int(judged.sum()),
        prompts=len(set(prompts[judged])),
        accuracy=share(right, judged),
        less_length=less(by_length),
        less_cosine=less(by_cosine),
        over_one=less(np.where(several, alone.mean(axis=1), np.nan)),
        same_winner=share(same, several),
        ties=share((right == 0.5).astype(np.float64), judged),
        prefers_longer=share(longer_has_more, judged & (pairs.longer != 0)),
        better_is_shorter=share(right, judged & (pairs.longer < 0)),
        better_is_longer=share(right, judged & (pairs.longer > 0)),
        subsets={
            name: share(right, judged & (subsets == name)) for name in sorted(set(subsets) - {""})
        },
        tokens=tokens,
    )


def credits(leads: "Array") -> "Array":
    """How right leads (pairs,) of the better response are: 1, a tie 1/2, 0; NaN where unknown."""
    import numpy as np

    clean = without_noise(leads)
    right = np.where(clean > 0, 1.0, np.where(clean < 0, 0.0, 0.5))
    return np.where(np.isnan(leads), np.nan, right)
