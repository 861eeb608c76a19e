"""Paired differences: whether one speaker's scores are higher than another's on the same prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wim.evaluation.compared.bootstrap import interval, numbered, resampled_means, standard_error
from wim.statistics import Estimate

if TYPE_CHECKING:
    import numpy as np

ALPHA, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Difference:
    """How much higher a speaker's scores are than another's, over the prompts of both.

    Attributes:
        common: How many prompts both have; the figures are over these.
        left_out: How many prompts only one of them has.
        prompts: How many of the common are independent: clusters, where prompts form such.
        difference: The mean difference, with a bootstrap interval over prompts.
        standard_error: Of that mean; null for fewer than two prompts.
        higher, lower: In how many independent prompts the speaker's score is higher, or lower.
        p_mcnemar: Of the exact test that both are as likely: McNemar's where scores are wins and
            losses (1947), the sign test in general.
        p_bootstrap: Of the paired bootstrap that the mean difference is 0; at least 2 ** (1 - n) for
            n independent prompts.
    """

    common: int
    left_out: int
    prompts: int
    difference: Estimate
    standard_error: float | None
    higher: int
    lower: int
    p_mcnemar: float
    p_bootstrap: float


def difference(
    scores: Mapping[str, float],
    others: Mapping[str, float],
    seed: int,
    clusters: Mapping[str, str] | None = None,
) -> Difference:
    """The paired difference of scores by prompt.

    Args:
        scores, others: By prompt_id; a prompt that one of them lacks is left out.
        seed: Of the bootstrap.
        clusters: Which cluster each prompt belongs to, where prompts depend on each other.
    """
    import numpy as np

    common = [prompt for prompt in scores if prompt in others]
    left_out = len(scores.keys() ^ others.keys())
    if not common:
        nothing = Estimate(None, None, None, 0)
        return Difference(0, left_out, 0, nothing, None, 0, 0, 1.0, 1.0)
    leads = np.array([scores[prompt] - others[prompt] for prompt in common], dtype=np.float64)
    groups = [(clusters or {}).get(prompt, prompt) for prompt in common]
    # Scores are means of 0, 1/2 and 1, or probabilities: what is smaller is rounding.
    sums = np.bincount(numbered(groups), weights=leads)
    higher, lower = int((sums > 1e-9).sum()), int((sums < -1e-9).sum())
    resampled = resampled_means(leads, groups, seed)
    return Difference(
        common=len(common),
        left_out=left_out,
        prompts=len(sums),
        difference=Estimate(float(leads.mean()), *interval(resampled), len(common)),
        standard_error=standard_error(leads, groups),
        higher=higher,
        lower=lower,
        p_mcnemar=exact_mcnemar(higher, lower),
        # Not below what signs alone can show: resamples of few prompts are all on one side.
        p_bootstrap=max(_p_of_resamples(resampled), min(1.0, 2.0 ** (1 - len(sums)))),
    )


def difference_from(
    scores: Mapping[str, float],
    value: float,
    seed: int,
    clusters: Mapping[str, str] | None = None,
) -> Difference:
    """As `difference`, from one value on every prompt: from 0.5, for scores against a reference."""
    return difference(scores, dict.fromkeys(scores, value), seed, clusters)


def exact_mcnemar(higher: int, lower: int) -> float:
    """The two-sided p of McNemar's exact test, for the two counts of prompts that differ."""
    from statsmodels.stats.contingency_tables import mcnemar

    return float(mcnemar([[0, higher], [lower, 0]], exact=True).pvalue) if higher + lower else 1.0


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for their number, so that one false finding is as rare as alpha says.

    Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return {}
    adjusted: Sequence[float] = multipletests(list(p_values.values()), method="holm")[1]
    return dict(zip(p_values, map(float, adjusted), strict=True))


def smallest_difference(
    standard_error: float | None, prompts: int, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """The true difference that a two-sided t test on as many prompts finds with that power.

    Args:
        standard_error: Of the mean difference over the prompts.
        prompts: How many are independent.
        alpha: The test's level, divided by the number of arms where there are several.
        power: How often the difference would have been found.

    Returns:
        The difference in the unit of the standard error; None where nothing varies, or of fewer
        than three prompts.
    """
    from scipy.optimize import brentq

    if not standard_error or prompts < 3:
        return None
    enough = 1.0
    while _power(enough, prompts - 1, alpha) < power:
        enough *= 2
    found = brentq(lambda away: _power(away, prompts - 1, alpha) - power, 0, enough)
    return float(found) * standard_error


def _power(away: float, freedom: int, alpha: float) -> float:
    """The power of a two-sided t test whose statistic is so many standard errors away from 0.

    Integrated over the deviation that is estimated. The noncentral t distribution of scipy, and so
    the power of statsmodels, is no number for some effects where the level is strict.
    """
    from scipy.integrate import quad
    from scipy.stats import chi2, norm, t

    critical = t.isf(alpha / 2, freedom)

    def found(share: float) -> float:
        bound = critical * (chi2.ppf(share, freedom) / freedom) ** 0.5
        return float(norm.sf(bound - away) + norm.cdf(-bound - away))

    value, _ = quad(found, 0, 1, limit=500)
    return float(value)


def _p_of_resamples(resampled: "np.ndarray[Any, Any]") -> float:
    """Twice the smaller share of resamples on one side of 0; 1 where all are 0."""
    fewer = min(int((resampled <= 1e-12).sum()), int((resampled >= -1e-12).sum()))
    return min(1.0, 2 * (fewer + 1) / (len(resampled) + 1))
