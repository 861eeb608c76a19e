"""Log ratio modulated loss, DiscoPOP's own (arXiv 2406.08414, eq. 5)."""

import torch
import torch.nn.functional as F


def lrml(
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
    # Formed in the exponent, so that it is never inf * 0.
    exponential = torch.exp(F.logsigmoid(x / tau) - x)
    return -torch.sigmoid(-x / tau) * F.logsigmoid(x) + exponential
