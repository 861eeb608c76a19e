"""KTO of pairs (Ethayarajh et al. 2024, arXiv 2402.01306)."""

import torch


def kto_pair(
    policy_chosen_logps: torch.Tensor,
    policy_rejected_logps: torch.Tensor,
    reference_chosen_logps: torch.Tensor,
    reference_rejected_logps: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    chosen = policy_chosen_logps - reference_chosen_logps
    rejected = policy_rejected_logps - reference_rejected_logps
    divergence_chosen = chosen.mean().clamp(min=0)
    divergence_rejected = rejected.mean().clamp(min=0)
    of_chosen = torch.sigmoid(-beta * (chosen - divergence_rejected))
    of_rejected = torch.sigmoid(-beta * (divergence_chosen - rejected))
    return (of_chosen + of_rejected) / 2
