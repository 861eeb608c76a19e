"""An interval for a share of pairs that holds for few pairs, and where pairs share their prompt.

The bounds are those of a binomial share of `effective_size` independent pairs (Korn and Graubard
1998, Survey Methodology 24): the lower end is exact (Clopper and Pearson 1934), so that a coin's is
above one half in at most 2.5 % of samples, and the upper end is exact to the mid-P value (Lancaster
1961), as two exact ends would cover 98 % of small samples. How often both hold is in docs/guide/evaluation.md.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wim.statistics import LEVEL, Estimate

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TAIL = (1 - LEVEL) / 2
# Pairs, or prompts, of the worst kind that are added to what is seen: two right and two wrong ones
# where it is whether pairs differ at all (Agresti and Coull 1998), one prompt where it is whether
# its pairs do.
ADDED_PAIRS = 4
ADDED_PROMPTS = 1


def share_over_prompts(values: "Sequence[float] | Array", prompts: Sequence[str]) -> Estimate:
    """The mean of n values between 0 and 1 with its 95 % interval; null for none.

    Args:
        values: (n,) how right each pair is; 1/2 for a tie.
        prompts: (n,) each pair's prompt. Pairs of one prompt may depend on each other.
    """
    import numpy as np

    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return Estimate(None, None, None, 0)
    mean = float(array.mean())
    low, high = bounds(mean, effective_size(array, prompts))
    return Estimate(mean, min(low, mean), max(high, mean), len(array))


def balance_over_prompts(values: "Sequence[float] | Array", prompts: Sequence[str]) -> Estimate:
    """As `share_over_prompts`, of values between -1 and 1."""
    import numpy as np

    share = share_over_prompts((np.asarray(values, dtype=np.float64) + 1) / 2, prompts)
    if share.value is None or share.low is None or share.high is None:
        return share
    return Estimate(2 * share.value - 1, 2 * share.low - 1, 2 * share.high - 1, share.n)


def effective_size(values: "Array", prompts: Sequence[str]) -> float:
    """The number of independent right and wrong pairs whose mean varies as much as this one.

    Of m values with mean p it is p (1 - p) / v. v is the variance of the mean over prompts, mixed
    with the largest that there can be, in which the pairs of a prompt are all alike: the latter
    counts as ADDED_PROMPTS prompts, the former as the degrees of freedom that the kurtosis of the
    prompts' residuals leaves it (2 G / (kurtosis - 1) of G prompts). As v is an estimate, quantiles
    of t with these degrees of freedom widen it. It is at least the number of prompts (of unequal
    size, Kish's), and at most m, or more where values of 1/2 make them vary less.

    Args:
        values: (m,) between 0 and 1, m at least 1.
        prompts: (m,) the prompt of each.
    """
    import numpy as np
    from scipy.special import stdtrit

    count, mean = len(values), float(values.mean())
    spread = mean * (1 - mean)
    _, number, sizes = np.unique(np.asarray(prompts), return_inverse=True, return_counts=True)
    groups = len(sizes)
    least = count**2 / float((sizes.astype(np.float64) ** 2).sum())
    most = float(count)
    if spread > 0:
        within = float(((values - mean) ** 2).sum())
        most *= spread * (count + ADDED_PAIRS) / (within + ADDED_PAIRS * spread)
    if groups == count:
        return most
    squares = np.bincount(number, weights=values - mean) ** 2
    total = float(squares.sum())
    if groups == 1 or total <= 1e-12 * count:
        return least
    kurtosis = groups * float((squares**2).sum()) / total**2
    freedom = min(2 * groups / max(kurtosis - 1, 1e-9), groups - 1.0)
    freedom = max(freedom, 1.0)
    seen = groups / (groups - 1) * (count - 1) / count * total / count**2 / spread
    variance = (freedom * seen + ADDED_PROMPTS / least) / (freedom + ADDED_PROMPTS)
    widened = float(stdtrit(count - 1.0, 1 - TAIL) / stdtrit(freedom, 1 - TAIL)) ** 2
    return float(np.clip(widened / variance, least, most))


def bounds(share: float, size: float) -> tuple[float, float]:
    """The ends of the interval of a share of `size` independent pairs, which may be no integer."""
    from scipy.optimize import brentq
    from scipy.special import betainc, betaincinv

    right, wrong = share * size, (1 - share) * size
    low = float(betaincinv(right, wrong + 1, TAIL)) if right > 0 else 0.0

    def mid_p(candidate: float) -> float:
        fewer = 1 - float(betainc(right, wrong + 1, candidate)) if right > 0 else 0.0
        as_many = 1 - float(betainc(right + 1, wrong, candidate))
        return (fewer + as_many) / 2 - TAIL

    high = float(brentq(mid_p, share, 1.0)) if wrong > 0 else 1.0
    return low, high
