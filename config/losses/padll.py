"""Performance adaptive decay logistic loss (DiscoPOP, arXiv 2406.08414, eq. 15-19)."""

import torch
import torch.nn.functional as F


def padll(
    policy_chosen_logps: torch.Tensor,
    policy_rejected_logps: torch.Tensor,
    reference_chosen_logps: torch.Tensor,
    reference_rejected_logps: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    chosen = policy_chosen_logps - reference_chosen_logps
    rejected = policy_rejected_logps - reference_rejected_logps
    rho = chosen - rejected
    decay = torch.where(rho < 0, 0.45, 0.9)
    return -decay * F.logsigmoid(beta * rho)
