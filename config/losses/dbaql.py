"""Dynamic blended adaptive quantile loss (DiscoPOP, arXiv 2406.08414, eq. 9-10)."""

import torch
import torch.nn.functional as F


def dbaql(
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
    variance = (x / tau).var()
    blended_in = torch.exp(F.logsigmoid(-variance) - 0.9 * x)
    return -torch.sigmoid(variance) * F.logsigmoid(x / 0.9) + blended_in
