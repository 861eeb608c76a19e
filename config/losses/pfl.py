"""Policy focused loss (DiscoPOP, arXiv 2406.08414, eq. 29-30)."""

import torch
import torch.nn.functional as F


def pfl(
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
    ratio = beta * rho / tau
    right = policy_chosen_logps > policy_rejected_logps
    return torch.where(right, -F.logsigmoid(ratio) / 2, 2 * F.relu(1 - ratio))
