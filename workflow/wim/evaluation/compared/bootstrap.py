"""Bootstrap over prompts (Efron 1979): a prompt is drawn with all that was judged of it.

Judgements of one prompt are not independent, so it is prompts that are drawn with replacement, or
larger groups of prompts where these depend on each other; intervals are of percentiles.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wim.statistics import LEVEL, RESAMPLES, Estimate, Share

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# Draws held in memory at once.
DRAWS = 4_000_000


def numbered(clusters: Sequence[str]) -> "Array":
    """Each row's cluster as a number from 0, in the order of first occurrence: (rows,) integers."""
    import numpy as np

    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in clusters], dtype=np.int64)


def resampled_counts(clusters: int, resamples: int, seed: int) -> "Iterator[Array]":
    """How often each cluster is drawn in each resample: blocks of (some resamples, clusters)."""
    import numpy as np

    generator = np.random.default_rng(seed)
    shares = np.full(clusters, 1 / clusters)
    at_once = max(1, DRAWS // clusters)
    for start in range(0, resamples, at_once):
        yield generator.multinomial(clusters, shares, size=min(at_once, resamples - start))


def resampled_means(
    values: "Array", clusters: Sequence[str], seed: int, resamples: int = RESAMPLES
) -> "Array":
    """The mean over the rows of each resample of the clusters: (resamples,).

    Clusters alike in number and sum of rows are drawn together, so that the cost grows with the
    distinct ones.

    Args:
        values: (rows,) floats.
        clusters: (rows,) each row's cluster.
        seed: Of the draws.
        resamples: How many.
    """
    import numpy as np

    number = numbered(clusters)
    sums = np.bincount(number, weights=np.asarray(values, dtype=np.float64))
    distinct, alike = np.unique(
        np.stack([sums, np.bincount(number)], axis=1), axis=0, return_counts=True
    )
    generator = np.random.default_rng(seed)
    shares = alike / alike.sum()
    means = []
    at_once = max(1, DRAWS // len(distinct))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        total, rows = (generator.multinomial(len(sums), shares, size=size) @ distinct).T
        means.append(total / rows)
    return np.concatenate(means)


def interval(resampled: "Array") -> tuple[float, float]:
    """The 95 % percentile interval of a statistic's values in resamples."""
    import numpy as np

    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_over(values: "Sequence[float] | Array", clusters: Sequence[str], seed: int) -> Estimate:
    """The mean of n values with its 95 % interval over clusters, null for fewer than two of them.

    Args:
        values: (n,) floats.
        clusters: (n,) each value's cluster, such as its prompt.
        seed: Of the bootstrap.
    """
    import numpy as np

    if not len(values):
        return Estimate(None, None, None, 0)
    array = np.asarray(values, dtype=np.float64)
    if len(set(clusters)) < 2:
        return Estimate(float(array.mean()), None, None, len(array))
    low, high = interval(resampled_means(array, clusters, seed))
    return Estimate(float(array.mean()), low, high, len(array))


def share_over(values: "Sequence[float] | Array", clusters: Sequence[str], seed: int) -> Estimate:
    """As `mean_over`, of values between 0 and 1.

    Where all are 0, or all 1, resamples are alike, and the interval is Wilson's, over clusters.
    """
    found = mean_over(values, clusters, seed)
    if found.value not in (0.0, 1.0):
        return found
    count = len(set(clusters))
    known = Share.of(count if found.value else 0, count)
    return Estimate(found.value, known.low, known.high, found.n)


def standard_error(values: "Sequence[float] | Array", clusters: Sequence[str]) -> float | None:
    """The standard error of the mean of n values over clusters; null for a single cluster.

    With one value a cluster it is sd (n - 1) / sqrt(n); else the residuals are summed by cluster
    (Liang and Zeger 1986, with the factor G / (G - 1) for G clusters).
    """
    import numpy as np

    array = np.asarray(values, dtype=np.float64)
    if len(set(clusters)) < 2:
        return None
    residuals = np.bincount(numbered(clusters), weights=array - array.mean())
    groups = len(residuals)
    return float(np.sqrt(groups / (groups - 1) * (residuals**2).sum()) / len(array))
