"""When two rewards are equal: a difference by rounding is none."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Cosines of the same texts by other hardware, libraries or threads differ by some 1e-7, the
# precision of float32; a millionth says nothing about two answers (docs/design/decisions/one-text-at-a-time.md).
NOISE = 1e-6


def lead(one: float, other: float) -> float:
    """By how much a reward is higher than another; 0 if rounding alone may be the reason."""
    difference = one - other
    return difference if abs(difference) > NOISE else 0.0


def without_noise(differences: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Differences of rewards, of any shape, with 0 where rounding alone may be the reason."""
    import numpy as np

    return np.where(np.abs(differences) <= NOISE, 0.0, differences)
