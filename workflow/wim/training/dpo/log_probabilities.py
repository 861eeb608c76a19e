"""Log-probabilities and weights from a model's output, for losses that TRL does not compute.

Importing this module loads torch. TRL 1.16 forms the same quantities in DPOTrainer for its own
losses. Outputs are those of its fused head: log_probs (2 * batch, tokens), chosen completions
first, 0 outside of completions. Masks are 1 on the tokens of completions, (2 * batch, tokens).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from wim.settings.losses import Divergence

ALPHA = 0.5
"""The default alpha of alpha_divergence, as in TRL."""


def summed(log_probabilities: Tensor, mask: Tensor, ld_alpha: float | None) -> Tensor:
    """Each completion's log-probability (2 * batch,), in nats.

    With ld_alpha, tokens beyond the length of a pair's shorter completion have this weight
    (LD-DPO, Liu et al. 2024, arXiv 2409.06411).
    """
    if ld_alpha is None:
        return log_probabilities.sum(dim=1)
    shared = mask.sum(dim=1).view(2, -1).amin(dim=0).repeat(2)
    tail = (mask.cumsum(dim=1) > shared[:, None]) & mask.bool()
    return (log_probabilities * torch.where(tail, ld_alpha, 1.0)).sum(dim=1)


def divergence_score(log_ratio: Tensor, divergence: Divergence, alpha: float) -> Tensor:
    """The score that replaces a log-ratio under an f-divergence: f'(u) of the ratio u = pi / ref.

    f-DPO, Wang et al. 2023, arXiv 2309.16240. forward_kl grows as e^-log_ratio.
    """
    if divergence == "forward_kl":
        return 1 - torch.exp(-log_ratio)
    if divergence == "js_divergence":
        return math.log(2) + logsigmoid(log_ratio)
    if divergence == "alpha_divergence":
        exponent = ((alpha - 1) * log_ratio).clamp(max=80.0)
        return (torch.exp(exponent) - 1) / (alpha - 1)
    return log_ratio


def policy_weights(log_probabilities: Tensor, log_sum_squares: Tensor, mask: Tensor) -> Tensor:
    """A pair's weight (batch,), without gradient: how likely the policy is to generate it.

    The product over both completions of exp(mean over tokens of log p(token) - log sum p^2)
    (WPO with sampled alignment, Zhou et al. 2024, arXiv 2406.11827).
    """
    aligned = ((log_probabilities - log_sum_squares) * mask).detach().sum(dim=1)
    chosen, rejected = (aligned / mask.sum(dim=1).clamp(min=1)).exp().chunk(2)
    return chosen * rejected
