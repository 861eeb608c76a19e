"""SLiC's hinge on log-ratios (Zhao et al. 2023, arXiv 2305.10425)."""

import torch
import torch.nn.functional as F


def slic(
    policy_chosen_logps: torch.Tensor,
    policy_rejected_logps: torch.Tensor,
    reference_chosen_logps: torch.Tensor,
    reference_rejected_logps: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    chosen = policy_chosen_logps - reference_chosen_logps
    rejected = policy_rejected_logps - reference_rejected_logps
    rho = chosen - rejected
    return F.relu(1 - beta * rho)
