"""Calibration: whether predictions of probability p come true with frequency p."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bin:
    """Predictions between two probabilities: how many, their mean, and the share that came true."""

    low: float
    high: float
    pairs: int
    predicted: float | None
    observed: float | None


@dataclass(frozen=True)
class Calibration:
    """How well probabilities of preference predict the known preferences.

    Attributes:
        accuracy: The share predicted above one half; ties count half.
        log_loss: In nats; a coin has ln 2.
        expected_calibration_error: The mean distance of predicted and observed over the bins,
            weighted by their pairs (Guo et al. 2017, arXiv 1706.04599).
    """

    pairs: int
    accuracy: float
    log_loss: float
    brier: float
    expected_calibration_error: float
    bins: tuple[Bin, ...]


def calibration(margins: Sequence[float], bins: int) -> Calibration:
    """Calibration of sigmoid(margin), where the first of each pair is known to be preferred.

    Each pair is counted from its likelier side, at a confidence between 1/2 and 1, since the order
    of the two responses means nothing.

    Args:
        margins: (pairs,) log-odds, first minus second.
        bins: How many bins of equal width divide the range 1/2 to 1.

    Raises:
        ValueError: If there is no pair.
    """
    import numpy as np

    if not len(margins):
        raise ValueError("no pairs to measure calibration on")
    margin = np.asarray(margins, dtype=np.float64)
    confidence = 1 / (1 + np.exp(-np.abs(margin)))
    right = np.where(margin > 0, 1.0, np.where(margin < 0, 0.0, 0.5))
    edges = np.linspace(0.5, 1.0, bins + 1)
    place = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    found, error = [], 0.0
    for number in range(bins):
        inside = place == number
        count = int(inside.sum())
        predicted, observed = None, None
        if count:
            predicted, observed = float(confidence[inside].mean()), float(right[inside].mean())
            error += count / len(margin) * abs(predicted - observed)
        found.append(
            Bin(float(edges[number]), float(edges[number + 1]), count, predicted, observed)
        )
    chosen = 1 / (1 + np.exp(-margin))
    return Calibration(
        pairs=len(margin),
        accuracy=float(right.mean()),
        log_loss=float(np.logaddexp(0, -margin).mean()),
        brier=float(((1 - chosen) ** 2).mean()),
        expected_calibration_error=error,
        bins=tuple(found),
    )
