"""The KL divergence to the reference is that between two distributions, at every position."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from scipy.stats import entropy

from wim.training.records.kl import POSITIONS, divergence, kl_to_reference


def logits(positions: int, seed: int, vocabulary: int = 7) -> torch.Tensor:
    return 3 * torch.randn(positions, vocabulary, generator=torch.Generator().manual_seed(seed))


def test_each_position_has_the_divergence_of_its_two_distributions() -> None:
    ours, theirs = logits(POSITIONS + 3, 0), logits(POSITIONS + 3, 1)
    expected = entropy(ours.softmax(-1).numpy(), theirs.softmax(-1).numpy(), axis=1)
    torch.testing.assert_close(
        divergence(ours, theirs), torch.tensor(expected), rtol=1e-4, atol=1e-6
    )


def test_a_policy_does_not_diverge_from_itself() -> None:
    assert float(divergence(logits(5, 0), logits(5, 0)).abs().max()) == 0


@pytest.fixture
def trainer(tiny_model: Path) -> Any:
    """What is read of a trainer: an untrained adapter on the tiny model, and held-out pairs."""
    from contextlib import nullcontext

    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    adapted = get_peft_model(model, LoraConfig(target_modules="all-linear"))
    rows = [
        {"prompt_ids": [5, 6, 7], "chosen_ids": [8, 9], "rejected_ids": [10, 11, 12]},
        {"prompt_ids": [5, 6], "chosen_ids": [8], "rejected_ids": [9, 9, 9, 9, 9, 9]},
    ]
    accelerator = SimpleNamespace(unwrap_model=lambda model: model, autocast=nullcontext)
    return SimpleNamespace(
        model=adapted,
        ref_model=None,
        eval_dataset=rows,
        accelerator=accelerator,
        is_fsdp_enabled=False,
        is_deepspeed_enabled=False,
    )


def test_it_is_zero_before_training_and_above_once_the_adapter_has_moved(
    trainer: Any, tiny_model: Path
) -> None:
    assert kl_to_reference(trainer, tiny_model, 6) == {
        "eval_kl": 0.0,
        "eval_kl_tokens": 2 + 3 + 1 + 4,
        "eval_kl_pairs": 2,
    }
    for name, weight in trainer.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(weight, 0.05)
    moved = kl_to_reference(trainer, tiny_model, 6)["eval_kl"]
    assert moved > 1e-4
    trainer.ref_model = trainer.model
    assert kl_to_reference(trainer, tiny_model, 6)["eval_kl"] == 0


def test_without_held_out_pairs_there_is_no_figure(trainer: Any, tiny_model: Path) -> None:
    trainer.eval_dataset = None
    assert kl_to_reference(trainer, tiny_model, 6) == {}
