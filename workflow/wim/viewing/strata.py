"""Which pairs are worth a label: a stratified sample, and how many labels an interval needs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wim.provenance.digest import seed_of
from wim.statistics import Share

MARGINS = ("narrow margin", "middling margin", "wide margin")
# Below this share of difference two lengths are alike.
ALIKE = 0.1


@dataclass(frozen=True)
class DrawnFrom:
    """A pair as far as it decides whether it is drawn.

    Attributes:
        prompt_id: Pairs of one prompt are not independent.
        chosen_id, rejected_id: Its candidates.
        margin: The difference of their scores.
        lengths: Of their completions, in characters.
        disagrees: Whether another reward prefers the rejected one.
    """

    prompt_id: str
    chosen_id: str
    rejected_id: str
    margin: float
    lengths: tuple[int, int]
    disagrees: bool

    @property
    def length(self) -> str:
        """Whether the chosen one is longer, shorter, or of about the same length."""
        chosen, rejected = self.lengths
        if abs(chosen - rejected) <= ALIKE * max(chosen, rejected):
            return "lengths alike"
        return "chosen longer" if chosen > rejected else "chosen shorter"


def strata_of(pairs: Sequence[DrawnFrom]) -> list[str]:
    """The stratum of each pair: third of the margins, length, and whether rewards disagree."""
    import numpy as np

    if not pairs:
        return []
    margins = np.array([pair.margin for pair in pairs], dtype=np.float64)
    thirds = np.searchsorted(np.quantile(margins, [1 / 3, 2 / 3]), margins, side="left")
    return [
        ", ".join(
            (MARGINS[third], pair.length, "rewards disagree" if pair.disagrees else "rewards agree")
        )
        for pair, third in zip(pairs, thirds, strict=True)
    ]


def draw_pairs(
    pairs: Sequence[DrawnFrom], number: int, seed: int, equally: bool = False
) -> dict[int, str]:
    """The places of the pairs that are drawn, with their strata; at most one of each prompt.

    Args:
        pairs: All pairs.
        number: How many to draw; fewer where there are not as many prompts.
        seed: The run's.
        equally: Whether every stratum gives as many as it can up to an equal share, which shows
            more of rare ones; else each gives its share, so that the accuracy on the sample is an
            estimate of that on all pairs.
    """
    strata = strata_of(pairs)
    order = sorted(
        range(len(pairs)),
        key=lambda place: seed_of(seed, "label", pairs[place].chosen_id, pairs[place].rejected_id),
    )
    of_prompt: dict[str, int] = {}
    for place in order:
        of_prompt.setdefault(pairs[place].prompt_id, place)
    waiting: dict[str, list[int]] = {}
    for place in of_prompt.values():
        waiting.setdefault(strata[place], []).append(place)
    sizes = {name: len(places) for name, places in sorted(waiting.items())}
    shares = allocate(sizes, min(number, len(of_prompt)), equally)
    return {place: name for name, share in shares.items() for place in waiting[name][:share]}


def allocate(sizes: Mapping[str, int], number: int, equally: bool) -> dict[str, int]:
    """How many each stratum gives, of `number` in all, never more than it has.

    In proportion to its size, with the largest remainders rounded up, or equally.
    """
    if equally:
        shares = dict.fromkeys(sizes, 0)
        while sum(shares.values()) < number:
            for name in sizes:
                if shares[name] < sizes[name] and sum(shares.values()) < number:
                    shares[name] += 1
        return shares
    total = sum(sizes.values())
    exact = {name: number * size / total for name, size in sizes.items()} if total else {}
    shares = {name: int(share) for name, share in exact.items()}
    remainders = Counter({name: exact[name] - shares[name] for name in sizes})
    for name, _ in remainders.most_common(number - sum(shares.values())):
        shares[name] += 1
    return shares


def labels_needed(width: float, accuracy: float = 0.5) -> int:
    """The fewest labels whose 95 % interval (Wilson's) is at most so wide, from end to end.

    Args:
        width: Above 0, below 1.
        accuracy: The share of the labels that a reward is right on; one half needs most.
    """
    low, high = 0, 1
    while interval_width(high, accuracy) > width:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if interval_width(middle, accuracy) <= width else (middle, high)
    return high


def interval_width(labels: int, accuracy: float = 0.5) -> float:
    """The width of the 95 % interval of so many labels, of which this share is right."""
    share = Share.of(round(accuracy * labels), labels)
    if share.low is None or share.high is None:
        return 1.0
    return share.high - share.low
