"""Which reward to train on, by a study, and whether any is worth it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wim.evaluation.study.measure import Measured
from wim.evaluation.study.recorded_rewards import COSINE, LONGER
from wim.statistics import Estimate

# A smaller lead over the next reward says nothing where many were tried.
UNPROVEN = 0.03


@dataclass(frozen=True)
class Choice:
    """The reward that a study speaks for.

    Attributes:
        reward: Its name; null where none is worth training on.
        proven: The sets on which it beats both length and the cosine, with intervals above 0.
        sets: On how many sets it has figures.
        tried: How many rewards were measured.
    """

    reward: str | None
    proven: Sequence[str]
    sets: int
    tried: int


def chosen(figures: Mapping[str, Mapping[str, Measured]]) -> Choice:
    """The reward that is preferred to the most others, among those that are proven on some set.

    Two rewards are compared on the sets on which both have figures: the one that is proven on more
    of them is preferred, and of two that are proven on equally many, that with the higher accuracy.

    Args:
        figures: By set and reward.
    """
    names = dict.fromkeys(name for of_set in figures.values() for name in of_set)
    rivals = [name for name in names if name not in (LONGER, COSINE)]
    proven = {
        name: [
            where for where, found in figures.items() if name in found and proven_on(found[name])
        ]
        for name in rivals
    }
    worth = [name for name in rivals if proven[name]]
    if not worth:
        return Choice(None, [], 0, len(rivals))
    best = max(worth, key=lambda name: sum(_preferred(name, other, figures) for other in worth))
    sets = sum(best in of_set for of_set in figures.values())
    return Choice(best, proven[best], sets, len(rivals))


def _preferred(one: str, other: str, figures: Mapping[str, Mapping[str, Measured]]) -> bool:
    shared = [of_set for of_set in figures.values() if one in of_set and other in of_set]
    a, b = (
        (
            sum(proven_on(of_set[name]) for of_set in shared),
            sum(of_set[name].accuracy.value or 0.0 for of_set in shared),
        )
        for name in (one, other)
    )
    return a > b


def proven_on(one: Measured) -> bool:
    """Whether a reward beats length, and the cosine where there is one, beyond its interval."""
    return above_zero(one.less_length) and (one.less_cosine.n == 0 or above_zero(one.less_cosine))


def above_zero(difference: Estimate) -> bool:
    """Whether the whole interval of a difference is above 0."""
    return difference.low is not None and difference.low > 0
