"""Adaptive quantile feedback loss (DiscoPOP, arXiv 2406.08414, eq. 20-25)."""

import torch
import torch.nn.functional as F


def aqfl(
    policy_chosen_logps: torch.Tensor,
    policy_rejected_logps: torch.Tensor,
    reference_chosen_logps: torch.Tensor,
    reference_rejected_logps: torch.Tensor,
    beta: float,
    tau: float = 0.05,
) -> torch.Tensor:
    chosen = policy_chosen_logps - reference_chosen_logps
    rejected = policy_rejected_logps - reference_rejected_logps
    rho = chosen - rejected
    x = beta * rho
    ratio = x / tau
    first = torch.sigmoid(-ratio).mean() * ratio.std()
    quantile = first + 0.05 * (torch.sigmoid(ratio.mean()) - first)
    share = torch.sigmoid(0.1 * torch.abs(ratio - quantile))
    return -share * F.logsigmoid(x) + (1 - share) * F.relu(1 - x)
