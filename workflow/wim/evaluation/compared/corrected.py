"""Win rates corrected for a judge's errors, which labels of people have measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from wim.evaluation.compared.bootstrap import (
    interval,
    mean_over,
    resampled_means,
    standard_error,
)
from wim.evaluation.share_interval import share_over_prompts
from wim.statistics import LEVEL, Estimate


@dataclass(frozen=True)
class Corrected:
    """A win rate as the judge has it, and as people would; shares of 0 to 1.

    Attributes:
        judged: The judge's, over all comparisons.
        error: What is measured of the judge: by how much people's scores are higher than its own
            (`prediction_powered`), or how often it agrees with them (`by_accuracy`).
        corrected: The win rate by people's measure; null where the judge agrees with them no more
            often than a coin.
    """

    judged: Estimate
    error: Estimate
    corrected: Estimate


def prediction_powered(
    scores: Sequence[float],
    clusters: Sequence[str],
    labelled: Sequence[tuple[float, float]],
    labelled_clusters: Sequence[str],
    seed: int,
) -> Corrected:
    """mean(judge) on all comparisons + mean(people - judge) on the labelled ones.

    Prediction-powered inference (Angelopoulos et al. 2023, arXiv 2301.09633), with its normal
    interval. It holds where the labelled comparisons are a sample of comparisons such as these: the
    same kind of prompts, of the same speaker's answers with the same reference's.

    Args:
        scores: (n,) the judge's, of the speaker's answer, 0 to 1.
        clusters: (n,) their prompts.
        labelled: (m,) people's and the judge's score of the same comparison.
        labelled_clusters: (m,) their prompts.
        seed: Of the bootstrap interval of the judge's own win rate.
    """
    from scipy.stats import norm

    judged = mean_over(scores, clusters, seed)
    gaps = [people - judge for people, judge in labelled]
    error = mean_over(gaps, labelled_clusters, seed)
    errors = (standard_error(scores, clusters), standard_error(gaps, labelled_clusters))
    if judged.value is None or error.value is None or errors[0] is None or errors[1] is None:
        return Corrected(judged, error, Estimate(None, None, None, judged.n))
    value = judged.value + error.value
    half = float(norm.ppf((1 + LEVEL) / 2)) * (errors[0] ** 2 + errors[1] ** 2) ** 0.5
    return Corrected(judged, error, Estimate(value, value - half, value + half, judged.n))


def by_accuracy(
    scores: Sequence[float],
    clusters: Sequence[str],
    credits: Sequence[float],
    credit_clusters: Sequence[str],
    seed: int,
) -> Corrected:
    """(w - (1 - q)) / (2 q - 1), for a win rate w by a judge that is right with probability q.

    The estimator of Rogan and Gladen (1978) for a judge that errs as often in either direction, for
    labelled pairs in which neither response is the speaker's, such as the reward gate's. The
    interval is a bootstrap's over both samples.

    Args:
        scores: (n,) the judge's, of the speaker's answer, 0 to 1.
        clusters: (n,) their prompts.
        credits: (m,) how right the judge is on each labelled pair, 0 to 1.
        credit_clusters: (m,) their prompts.
        seed: Of the bootstrap.
    """
    import numpy as np

    judged = mean_over(scores, clusters, seed)
    right = share_over_prompts(credits, credit_clusters)
    nothing = Estimate(None, None, None, judged.n)
    if judged.value is None or right.value is None or right.low is None or right.low <= 0.5:
        return Corrected(judged, right, nothing)
    rates = resampled_means(np.asarray(scores, np.float64), clusters, seed)
    rights = resampled_means(np.asarray(credits, np.float64), credit_clusters, seed + 1)
    able = rights > 0.5
    resampled = (rates[able] - (1 - rights[able])) / (2 * rights[able] - 1)
    value = (judged.value - (1 - right.value)) / (2 * right.value - 1)
    low, high = interval(np.clip(resampled, 0, 1))
    return Corrected(judged, right, Estimate(min(max(value, 0.0), 1.0), low, high, judged.n))
