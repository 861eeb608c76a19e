"""Adaptive quantile loss (DiscoPOP, arXiv 2406.08414, eq. 11-14)."""

import torch
import torch.nn.functional as F


def aql(
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
    quantile = 0.5 + 0.01 * (torch.sigmoid((x / tau).mean()) - 0.5)
    share = torch.sigmoid(tau * quantile - x)
    return -share * F.logsigmoid(x) + (1 - share) * F.relu(1 - x)
