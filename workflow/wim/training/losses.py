"""Losses of preference pairs as pure functions: DiscoPOP's and their baselines.

Importing this module loads torch. Every function takes the LogRatios of a batch of pairs and
returns the loss of each pair, shape (batch,). With

    rho = (log pi(chosen) - log ref(chosen)) - (log pi(rejected) - log ref(rejected))
    x = beta * rho
    logistic(x) = log(1 + e^-x),  hinge(x) = max(0, 1 - x),  exponential(x) = e^-x

the equations are those of DiscoPOP (Lu et al. 2024, arXiv 2406.08414), appendix E, unless stated
otherwise; `s` is the sigmoid. The code that DiscoPOP generated uses rho itself in places; the
paper's equations have x / tau there, which is the same at beta = tau = 0.05 and keeps its shape at
any other beta.

Statistics (E, Var, Std) are over the pairs of the given batch, and gradients flow through them.
Products with an exponential are formed in the exponent, so that no loss is ever inf * 0; the
losses that grow exponentially by their definition become inf, as their docstrings say.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from wim.settings.losses import LOSSES, TAU


@dataclass(frozen=True)
class LogRatios:
    """Log-probabilities of a batch of pairs, and their log-ratios of policy to reference.

    Each is of shape (batch,), in nats, summed over a completion's tokens.
    """

    policy_chosen: Tensor
    policy_rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor

    @property
    def chosen(self) -> Tensor:
        """log pi(chosen) - log ref(chosen)."""
        return self.policy_chosen - self.reference_chosen

    @property
    def rejected(self) -> Tensor:
        """log pi(rejected) - log ref(rejected)."""
        return self.policy_rejected - self.reference_rejected

    @property
    def difference(self) -> Tensor:
        """rho. Log-ratios are formed first, as each is a small difference of large numbers."""
        return self.chosen - self.rejected


def sigmoid(pairs: LogRatios, beta: float) -> Tensor:
    """DPO (Rafailov et al. 2023, arXiv 2305.18290, eq. 7): logistic(x)."""
    return _logistic(beta * pairs.difference)


def cdpo(pairs: LogRatios, beta: float, label_smoothing: float) -> Tensor:
    """Conservative DPO (Mitchell 2023, a note on DPO with noisy preferences).

    (1 - e) logistic(x) + e logistic(-x), e the probability that a label is the wrong way round.
    """
    x = beta * pairs.difference
    return (1 - label_smoothing) * _logistic(x) + label_smoothing * _logistic(-x)


def slic(pairs: LogRatios, beta: float) -> Tensor:
    """SLiC's hinge on log-ratios (Zhao et al. 2023, arXiv 2305.10425): max(0, 1 - x)."""
    return _hinge(beta * pairs.difference)


def ipo_sum(pairs: LogRatios, beta: float) -> Tensor:
    """IPO of summed log-probabilities (Azar et al. 2023, arXiv 2310.12036, eq. 17).

    (rho - 1 / (2 beta))^2. TRL's `ipo` divides each log-ratio by its completion's length first.
    """
    rho = pairs.difference
    return (rho - 1 / (2 * beta)) ** 2


def kto_pair(pairs: LogRatios, beta: float) -> Tensor:
    """KTO of pairs (Ethayarajh et al. 2024, arXiv 2402.01306), as DiscoPOP's baseline has it.

    The mean of 1 - s(beta (r_chosen - KL_rejected)) and 1 - s(beta (KL_chosen - r_rejected)), r
    the log-ratios, KL = max(0, E[r]) over the chosen or the rejected completions. The original
    gives the two terms as 2 * batch losses, which have the same mean. The paper stops the
    gradient at KL.
    """
    chosen, rejected = pairs.chosen, pairs.rejected
    divergence_chosen = chosen.mean().clamp(min=0)
    divergence_rejected = rejected.mean().clamp(min=0)
    of_chosen = torch.sigmoid(-beta * (chosen - divergence_rejected))
    of_rejected = torch.sigmoid(-beta * (divergence_chosen - rejected))
    return (of_chosen + of_rejected) / 2


def dbaql(pairs: LogRatios, beta: float, tau: float = TAU) -> Tensor:
    """Dynamic blended adaptive quantile loss (eq. 9-10).

    w logistic(x / 0.9) + (1 - w) exponential(0.9 x), w = s(Var[x / tau]); a single pair has
    Var 0. Unbounded where Var is small: as e^(0.9 |x|) for x below 0, inf in float32 from
    x < -98 on.
    """
    x = beta * pairs.difference
    variance = (x / tau).var() if len(x) > 1 else x.new_zeros(())
    blended_in = torch.exp(logsigmoid(-variance) - 0.9 * x)
    return torch.sigmoid(variance) * _logistic(x / 0.9) + blended_in


def aql(pairs: LogRatios, beta: float, tau: float = TAU) -> Tensor:
    """Adaptive quantile loss (eq. 11-14).

    q logistic(x) + (1 - q) hinge(x), q = s(tau m - x), m = 0.5 + 0.01 (s(E[x / tau]) - 0.5).
    Eq. 13 prints E[s(x / tau)]; the code that was trained, in the same appendix, has s(E[x / tau]).
    """
    x = beta * pairs.difference
    quantile = 0.5 + 0.01 * (torch.sigmoid((x / tau).mean()) - 0.5)
    share = torch.sigmoid(tau * quantile - x)
    return share * _logistic(x) + (1 - share) * _hinge(x)


def padll(pairs: LogRatios, beta: float) -> Tensor:
    """Performance adaptive decay logistic loss (eq. 15-19).

    0.9 (1 - 0.5 [rho < 0]) logistic(x): pairs in the wrong order count half. It jumps at rho = 0.
    """
    rho = pairs.difference
    decay = torch.where(rho < 0, 0.45, 0.9).to(rho.dtype)
    return decay * _logistic(beta * rho)


def aqfl(pairs: LogRatios, beta: float, tau: float = TAU) -> Tensor:
    """Adaptive quantile feedback loss (eq. 20-25).

    r logistic(x) + (1 - r) hinge(x), r = s(0.1 |x / tau - m2|),
    m2 = m1 + 0.05 (s(E[x / tau]) - m1), m1 = E[s(-x / tau)] Std[x / tau]; a single pair has Std 0.
    The paper prints Var for Std and a misplaced bracket in m2; this is the code that was trained.
    """
    x = beta * pairs.difference
    ratio = x / tau
    spread = ratio.std() if len(x) > 1 else x.new_zeros(())
    first = torch.sigmoid(-ratio).mean() * spread
    quantile = first + 0.05 * (torch.sigmoid(ratio.mean()) - first)
    share = torch.sigmoid(0.1 * (ratio - quantile).abs())
    return share * _logistic(x) + (1 - share) * _hinge(x)


def cell(pairs: LogRatios, beta: float) -> Tensor:
    """Combined exponential and logistic loss (eq. 26): 0.5 logistic(x) + 0.5 exponential(x).

    Unbounded: as e^|x| for x below 0, inf in float32 from x < -88 on.
    """
    x = beta * pairs.difference
    return 0.5 * _logistic(x) + 0.5 * torch.exp(-x)


def lrml(pairs: LogRatios, beta: float, tau: float = TAU) -> Tensor:
    """Log ratio modulated loss, which the paper names DiscoPOP (eq. 5; 27-28 with a wrong sign).

    (1 - s(x / tau)) logistic(x) + s(x / tau) exponential(x).
    Linear for x far below 0 if tau < 1; at tau > 1 unbounded, as e^(|x| (1 - 1 / tau)).
    TRL's `discopop` is the same function, but nan in float32 from x < -88 on, as 0 * inf.
    """
    x = beta * pairs.difference
    return torch.sigmoid(-x / tau) * _logistic(x) + torch.exp(logsigmoid(x / tau) - x)


def pfl(pairs: LogRatios, beta: float, tau: float = TAU) -> Tensor:
    """Policy focused loss (eq. 29-30).

    logistic(x / tau) / 2 where log pi(chosen) > log pi(rejected), otherwise 2 hinge(x / tau).
    """
    ratio = beta * pairs.difference / tau
    right = pairs.policy_chosen > pairs.policy_rejected
    return torch.where(right, _logistic(ratio) / 2, 2 * _hinge(ratio))


OWN: dict[str, Callable[..., Tensor]] = {
    loss.__name__: loss
    for loss in (
        sigmoid, cdpo, slic, ipo_sum, kto_pair, dbaql, aql, padll, aqfl, cell, lrml, pfl
    )
}  # fmt: skip


def pair_losses(
    name: str,
    pairs: LogRatios,
    beta: float,
    tau: float,
    label_smoothing: float,
) -> Tensor:
    """A loss by its name, with the options that it takes.

    Args:
        name: A key of OWN.
        pairs: The log-probabilities of a batch of pairs.
        beta: The strength of the regularisation towards the reference.
        tau: The temperature of DiscoPOP's losses; ignored by others.
        label_smoothing: The probability that a label is the wrong way round; ignored by most.

    Returns:
        The loss of each pair, shape (batch,).
    """
    options = {"tau": tau, "label_smoothing": label_smoothing}
    taken = {option: value for option, value in options.items() if option in LOSSES[name].takes}
    return OWN[name](pairs, beta, **taken)


def _logistic(x: Tensor) -> Tensor:
    """log(1 + e^-x), linear and not inf for x far below 0."""
    return -logsigmoid(x)


def _hinge(x: Tensor) -> Tensor:
    return torch.relu(1 - x)
