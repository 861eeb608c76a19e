"""DPO (Rafailov et al. 2023, arXiv 2305.18290, eq. 7)."""

import torch
import torch.nn.functional as F


def sigmoid(
    policy_chosen_logps: torch.Tensor,
    policy_rejected_logps: torch.Tensor,
    reference_chosen_logps: torch.Tensor,
    reference_rejected_logps: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    chosen = policy_chosen_logps - reference_chosen_logps
    rejected = policy_rejected_logps - reference_rejected_logps
    rho = chosen - rejected
    return -F.logsigmoid(beta * rho)
