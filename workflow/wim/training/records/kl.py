"""The KL divergence of a trained policy from its reference. Importing this module loads torch."""

import logging
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)
PAIRS = 256
"""The most held-out pairs that are measured, evenly spaced."""
POSITIONS = 128
"""The number of positions whose probabilities over the vocabulary are in memory at once."""


def kl_to_reference(trainer: Any, base: Path, max_length: int) -> dict[str, float | int]:
    """The mean KL divergence from the reference, per token of held-out completions (nats).

    `eval_kl` is the mean of KL(policy || reference) between the two distributions of the next
    token, exact over the vocabulary, over every position of both completions of `eval_kl_pairs`
    held-out pairs, which are `eval_kl_tokens` positions. Summed over a completion sampled from the
    policy, these terms are the Rao-Blackwellised estimate of the KL divergence between the two
    models (Amini, Vieira and Cotterell 2025, arXiv 2504.10637). Here the completions are the
    candidates of the round, sampled from the model that it started from.

    Args:
        trainer: At the end of training.
        base: Folder of the model that was trained. It is opened again if it is the reference and
            all its weights were trained.
        max_length: The most tokens of a sequence.

    Returns:
        eval_kl, eval_kl_tokens and eval_kl_pairs; empty if no pair is held out or the model is
        sharded.
    """
    rows = trainer.eval_dataset
    if rows is None or trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return {}
    policy = trainer.accelerator.unwrap_model(trainer.model)
    reference, as_reference = _reference(trainer, policy, base)
    was_training = policy.training
    policy.eval()
    total, tokens, pairs = 0.0, 0, min(PAIRS, len(rows))
    with torch.no_grad(), trainer.accelerator.autocast():
        for place in range(pairs):
            row = rows[place * len(rows) // pairs]
            for side in ("chosen_ids", "rejected_ids"):
                text = [*row["prompt_ids"], *row[side]][:max_length]
                kept = len(text) - len(row["prompt_ids"])
                if kept < 1:
                    continue
                ids = torch.tensor([text], device=policy.device)
                ours = policy(input_ids=ids, logits_to_keep=kept + 1).logits[0, :-1]
                with as_reference():
                    theirs = reference(input_ids=ids, logits_to_keep=kept + 1).logits[0, :-1]
                total += float(divergence(ours, theirs).sum())
                tokens += kept
    policy.train(was_training)
    if not tokens:
        return {}
    logger.info("dpo: KL to the reference %.4g nats a token, held-out", total / tokens)
    return {"eval_kl": total / tokens, "eval_kl_tokens": tokens, "eval_kl_pairs": pairs}


def divergence(policy: Tensor, reference: Tensor) -> Tensor:
    """KL(policy || reference) per position (positions,), from logits (positions, vocabulary)."""
    parts = []
    for chunk in zip(
        torch.split(policy, POSITIONS), torch.split(reference, POSITIONS), strict=True
    ):
        ours, theirs = (each.float().log_softmax(-1) for each in chunk)
        parts.append((ours.exp() * (ours - theirs)).sum(-1))
    return torch.cat(parts)


def _reference(trainer: Any, policy: Any, base: Path) -> tuple[Any, Any]:
    """The reference model, and a context in which it is the reference."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    def unchanged() -> AbstractContextManager[None]:
        return nullcontext()

    if trainer.ref_model is not None:
        return trainer.accelerator.unwrap_model(trainer.ref_model).eval(), unchanged
    if isinstance(policy, PeftModel):
        return policy, policy.disable_adapter
    model = AutoModelForCausalLM.from_pretrained(base, dtype=policy.dtype, trust_remote_code=False)
    return model.to(policy.device).eval(), unchanged
