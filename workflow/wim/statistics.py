"""What the summary counts by: shares with intervals, differences within a context, correlations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Share:
    """count of n, as a share with Wilson's 95 % interval; null where n is 0."""

    count: int
    n: int
    share: float | None = None
    low: float | None = None
    high: float | None = None


def differences(
    values: "np.ndarray[Any, Any]", context: "np.ndarray[Any, Any]"
) -> Iterator["np.ndarray[Any, Any]"]:
    """Differences between every two rows of one context, each pair once: arrays (pairs, columns).

    values: (rows, columns). context: (rows,) integers. Contexts of one size are taken together,
    and each array pairs candidates a fixed distance apart: none has more pairs than rows.
    """
    import numpy as np

    order = np.argsort(context, kind="stable")
    _, starts, sizes = np.unique(context[order], return_index=True, return_counts=True)
    for size in np.unique(sizes[sizes > 1]):
        rows = starts[sizes == size][:, None] + np.arange(size)
        block = values[order[rows]]
        for distance in range(1, size):
            yield (block[:, distance:] - block[:, :-distance]).reshape(-1, values.shape[1])


def share_of(count: int, n: int) -> Share:
    """count of n with Wilson's interval (1927), which holds for shares of 0 and 1 too."""
    from scipy.stats import binomtest

    if not n:
        return Share(count, n)
    interval = binomtest(count, n).proportion_ci(confidence_level=0.95, method="wilson")
    return Share(count, n, count / n, float(interval.low), float(interval.high))


def rank_correlation(
    values: "np.ndarray[Any, Any]", others: "np.ndarray[Any, Any]"
) -> float | None:
    """Spearman's correlation of two arrays (n,); None where one of them does not vary."""
    import numpy as np
    from scipy.stats import spearmanr

    if len(values) < 2 or not np.ptp(values) or not np.ptp(others):
        return None
    return float(spearmanr(values, others).statistic)
