"""IPO of summed log-probabilities (Azar et al. 2023, arXiv 2310.12036, eq. 17)."""

import torch


def ipo_sum(
    policy_chosen_logps: torch.Tensor,
    policy_rejected_logps: torch.Tensor,
    reference_chosen_logps: torch.Tensor,
    reference_rejected_logps: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    chosen = policy_chosen_logps - reference_chosen_logps
    rejected = policy_rejected_logps - reference_rejected_logps
    rho = chosen - rejected
    return (rho - 1 / (2 * beta)) ** 2
