"""Shares, means and rank correlations with their intervals, and differences within groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure over n rows with its 95 % interval; null where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Share:
    """count of n, as a share with Wilson's 95 % interval; null where n is 0."""

    count: int
    n: int
    share: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, count: int, n: int) -> "Share":
        """count of n with Wilson's interval (1927), which holds for shares of 0 and 1 too."""
        from scipy.stats import binomtest

        if not n:
            return cls(count, n)
        interval = binomtest(count, n).proportion_ci(confidence_level=LEVEL, method="wilson")
        return cls(count, n, count / n, float(interval.low), float(interval.high))


@dataclass(frozen=True)
class MeanAndError:
    """A mean over n values and its standard error, sd (n - 1) / sqrt(n); null for a single one."""

    mean: float | None
    standard_error: float | None
    n: int

    @classmethod
    def of(cls, values: "Sequence[float] | np.ndarray[Any, Any]") -> "MeanAndError":
        """The mean of independent values (n,) with its standard error."""
        import numpy as np
        from scipy.stats import sem

        if not len(values):
            return cls(None, None, 0)
        array = np.asarray(values, dtype=np.float64)
        error = float(sem(array)) if len(array) > 1 else None
        return cls(float(array.mean()), error, len(array))


def mean_of(values: Sequence[float], seed: int) -> Estimate:
    """The mean of some values with a bootstrap interval (Efron 1979, the percentile form).

    Values are taken to be independent; where all are alike, the interval has no width. Resamples
    differ only in how often each distinct value occurs, which is multinomial, so that memory
    grows with the distinct values and not with n.
    """
    import numpy as np

    if not values:
        return Estimate(None, None, None, 0)
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    resamples = np.random.default_rng(seed).multinomial(
        len(values), counts / len(values), size=RESAMPLES
    )
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(resamples @ distinct / len(values), tails)
    mean = float(counts @ distinct) / len(values)
    return Estimate(mean, float(low), float(high), len(values))


def mean_over_groups(values: "np.ndarray[Any, Any]", groups: "np.ndarray[Any, Any]") -> Estimate:
    """The mean of the groups' means with the normal interval; groups are independent.

    For many rows, where a bootstrap takes long.

    Args:
        values: (rows,); NaN is left out.
        groups: (rows,), each row's group.
    """
    import numpy as np
    import pandas as pd
    from scipy.stats import norm

    means = pd.Series(values).groupby(groups).mean().dropna().to_numpy(np.float64)
    if not len(means):
        return Estimate(None, None, None, 0)
    mean = float(means.mean())
    if len(means) < 2:
        return Estimate(mean, None, None, 1)
    half = float(norm.ppf((1 + LEVEL) / 2) * means.std(ddof=1) / np.sqrt(len(means)))
    return Estimate(mean, mean - half, mean + half, len(means))


def rank_correlation(
    values: "Sequence[float] | np.ndarray[Any, Any]",
    others: "Sequence[float] | np.ndarray[Any, Any]",
) -> Estimate:
    """Spearman's correlation of n values with n others; null where one of them does not vary.

    The interval is Fisher's, with the variance of Bonett and Wright (2000, Psychometrika 65).
    """
    import math

    import numpy as np
    from scipy.stats import norm, spearmanr

    n = len(values)
    if n < 2 or not np.ptp(values) or not np.ptp(others):
        return Estimate(None, None, None, n)
    found = float(spearmanr(values, others).statistic)
    if n < 4:
        return Estimate(found, None, None, n)
    if abs(found) > 1 - 1e-12:
        return Estimate(found, found, found, n)
    half = float(norm.ppf((1 + LEVEL) / 2)) * math.sqrt((1 + found**2 / 2) / (n - 3))
    low, high = (math.tanh(math.atanh(found) + side * half) for side in (-1, 1))
    return Estimate(found, low, high, n)


def coin(n: int) -> Estimate:
    """The accuracy of a coin, and the range that holds it on n pairs 95 times of 100 (binomial)."""
    from scipy.stats import binom

    if not n:
        return Estimate(0.5, None, None, 0)
    low, high = binom.interval(LEVEL, n, 0.5)
    return Estimate(0.5, float(low) / n, float(high) / n, n)


def differences(
    values: "np.ndarray[Any, Any]", group: "np.ndarray[Any, Any]"
) -> Iterator["np.ndarray[Any, Any]"]:
    """Differences between every two rows of one group, each pair once: arrays (pairs, columns).

    Groups of one size are taken together, and each array pairs rows a fixed distance apart, so
    that none has more pairs than there are rows.

    Args:
        values: (rows, columns).
        group: (rows,) integers, each row's group.
    """
    import numpy as np

    order = np.argsort(group, kind="stable")
    _, starts, sizes = np.unique(group[order], return_index=True, return_counts=True)
    for size in np.unique(sizes[sizes > 1]):
        rows = starts[sizes == size][:, None] + np.arange(size)
        block = values[order[rows]]
        for distance in range(1, size):
            yield (block[:, distance:] - block[:, :-distance]).reshape(-1, values.shape[1])
