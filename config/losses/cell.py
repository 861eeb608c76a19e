"""Combined exponential and logistic loss (DiscoPOP, arXiv 2406.08414, eq. 26)."""

import torch
import torch.nn.functional as F


def cell(
    policy_chosen_logps: torch.Tensor,
    policy_rejected_logps: torch.Tensor,
    reference_chosen_logps: torch.Tensor,
    reference_rejected_logps: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    chosen = policy_chosen_logps - reference_chosen_logps
    rejected = policy_rejected_logps - reference_rejected_logps
    rho = chosen - rejected
    x = beta * rho
    return -0.5 * F.logsigmoid(x) + 0.5 * torch.exp(-x)
