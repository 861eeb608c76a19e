"""The basin of DiscoPOP's LRML loss, in which training lowers the margin of a pair.

Importing this module loads torch.
"""

import logging
import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from wim.settings.losses import TAU
from wim.settings.training import TrainingSettings
from wim.training.losses import LogRatios, pair_losses

logger = logging.getLogger("wim.training")
NO_BASIN_FROM = 0.11
"""The tau from which on LRML falls everywhere; to five digits its basin closes at 0.10978."""
BATCHES = 8
"""Number of batches, the first and the last, whose share of pairs in the basin is logged."""
# The same function of the difference of log-ratios alone, for the shape of a mixture.
_OF_DIFFERENCE = {
    "sigmoid": "sigmoid", "hinge": "slic", "slic": "slic", "discopop": "lrml", "lrml": "lrml",
    "cell": "cell", "padll": "padll", "ipo_sum": "ipo_sum", "cdpo": "cdpo",
}  # fmt: skip


class RisingInterval(NamedTuple):
    """Between which differences of log-ratios (nats) a loss rises with the margin.

    `low` is a local minimum of the loss and `high` a local maximum, inf if it never falls again.
    """

    low: float
    high: float


def rising_interval(
    weights: Mapping[str, float], beta: float, tau: float, label_smoothing: float = 0.0
) -> RisingInterval | None:
    """Where LRML, or its weighted sum with other losses, rises with the margin; None if nowhere.

    Only losses of the difference of log-ratios alone are summed; others are left out. The ends
    are precise to 1e-4 * tau / beta.
    """
    rho = torch.linspace(-60, 60, 240_001, dtype=torch.float64) * tau / beta
    rho.requires_grad_(True)
    zero = torch.zeros_like(rho)

    def slope(losses: Mapping[str, float]) -> Tensor:
        total = zero.sum()
        for name, weight in losses.items():
            pairs = pair_losses(name, LogRatios(rho, zero, zero, zero), beta, tau, label_smoothing)
            total = total + weight * pairs.sum()
        return torch.autograd.grad(total, rho)[0]

    known: dict[str, float] = {}
    for name, weight in weights.items():
        if name in _OF_DIFFERENCE:
            known[_OF_DIFFERENCE[name]] = known.get(_OF_DIFFERENCE[name], 0) + weight
    whole = slope(known)
    # Other losses rise too, far to the right; wanted is where LRML makes the sum rise.
    rising = torch.nonzero((whole > 0) & (slope({"lrml": 1.0}) > 0)).flatten()
    falling = torch.nonzero(whole <= 0).flatten()
    if not len(rising):
        return None
    before, after = falling[falling < rising[0]], falling[falling > rising[-1]]
    high = _root(rho, whole, int(after[0]) - 1) if len(after) else math.inf
    return RisingInterval(_root(rho, whole, int(before[-1])), high)


def _root(rho: Tensor, slope: Tensor, before: int) -> float:
    """Where the slope crosses 0 between two neighbouring places, by the line through them."""
    (low, high), (left, right) = rho[before : before + 2].tolist(), slope[before : before + 2]
    return float(low + (high - low) * left / (left - right))


class Basin:
    """The basin of DiscoPOP's LRML: where descent lowers the margin of a pair.

    Between its local minimum and its local maximum the loss rises with the difference of
    log-ratios. A pair there moves down to the minimum, one below the minimum moves up to it and
    no further; only a pair above the maximum gains margin for good.
    """

    def __init__(self, interval: RisingInterval, settings: TrainingSettings) -> None:
        self.interval = interval
        self.settings = settings
        self.recent: deque[Tensor] = deque(maxlen=BATCHES)
        self.warned = False

    @classmethod
    def of(cls, settings: TrainingSettings) -> "Basin | None":
        """The basin of a loss with LRML in it; None if it falls everywhere."""
        weights = settings.loss_weights
        if not {"lrml", "discopop"} & set(weights):
            return None
        tau, smoothing = settings.tau or TAU, settings.label_smoothing or 0.0
        interval = rising_interval(weights, settings.beta, tau, smoothing)
        return None if interval is None else cls(interval, settings)

    def add(self, pairs: LogRatios) -> None:
        """Add a batch's log-probabilities; warn once when there are BATCHES of them."""
        self.recent.append(pairs.difference.detach().cpu())
        if len(self.recent) == BATCHES and not self.warned:
            self._warn()

    def close(self) -> None:
        """Log at the end of training where the last pairs were."""
        if not self.recent:
            return
        if not self.warned:
            self._warn()
        logger.info("loss %s at the end: %s", self.settings.loss_label, self._shares("last"))

    def _warn(self) -> None:
        self.warned = True
        start = (
            "every pair starts inside, as all differences are 0 before the first step"
            if self.interval.high > 0
            else "every pair starts above it, at 0, and falls in only when pushed down"
        )
        left_out = sorted(set(self.settings.loss_weights) - set(_OF_DIFFERENCE))
        logger.warning(
            "loss %s at beta %g, tau %g rises with the margin where a pair's difference of "
            "log-ratios, chosen minus rejected, is between %.4g and %.4g: descent lowers the "
            "margin there, down to the local minimum at %.4g, and pulls a pair below it up to it; "
            "%s. %s. "
            "Only large steps and what pairs have in common take a pair out, and reward accuracies "
            "below 0.5 may persist; a tau of %g or more has no basin%s",
            self.settings.loss_label,
            self.settings.beta,
            self.settings.tau or TAU,
            self.interval.low,
            self.interval.high,
            self.interval.low,
            start,
            self._shares("first"),
            NO_BASIN_FROM,
            f" (left out of this: {', '.join(left_out)})" if left_out else "",
        )

    def _shares(self, which: str) -> str:
        differences = torch.cat(list(self.recent))
        below = float((differences <= self.interval.low).float().mean())
        above = float((differences >= self.interval.high).float().mean())
        return (
            f"of the {which} {len(differences)} training pairs seen, {1 - below - above:.0%} were "
            f"inside and {below:.0%} at or below the minimum"
        )
