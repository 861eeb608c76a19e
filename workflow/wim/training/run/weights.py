"""Which of a model's weights are trained, and how a model is opened and saved."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wim.models.manifest import ADAPTER
from wim.models.saving import save_adapter, save_tokenizer, save_weights
from wim.settings.optimization import OptimizationSettings
from wim.training.run.trl_internals import new_head_expected

OpenModel = Callable[..., Any]
"""Opens a model from a folder, with from_pretrained's options."""


def lora_config(settings: OptimizationSettings, architecture: str) -> Any:
    """The adapter to train, None if all weights are trained; architecture: the model's class."""
    from peft import LoraConfig

    if settings.lora is None:
        return None
    return LoraConfig(
        task_type="SEQ_CLS" if "SequenceClassification" in architecture else "CAUSAL_LM",
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules=settings.lora.target_modules,
    )


def open_language_model(folder: Path, **options: Any) -> Any:
    """A language model, from a folder; options: those of from_pretrained."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False, **options)


def keep_4bit_differentiable(model: Any) -> None:
    """Have layers of 4 bits keep the form of their weights that has a gradient.

    On CPUs with AVX512-BF16 bitsandbytes turns them into one for inference at the first forward pass
    without a gradient, such as that of the reference, and never back. From then on no gradient passes.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def hold_adapters_in_float32(model: Any) -> None:
    """Convert adapters that TRL has made bfloat16, as it does on weights of 4 and 8 bits.

    There a step at a usual learning rate is smaller than half the distance of two bfloat16 numbers, so
    that most weights would never move.
    """
    import torch

    for weight in model.parameters():
        if weight.requires_grad and weight.dtype is torch.bfloat16:
            weight.data = weight.data.float()


def open_scoring_model(folder: Path, **options: Any) -> Any:
    """A model with a head for one number, from a folder; the head is new if the folder has none."""
    from transformers import AutoModelForSequenceClassification

    with new_head_expected():
        return AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=1, trust_remote_code=False, **options
        )


def save_model(
    trainer: Any,
    weights: Mapping[str, Any] | None,
    base: Path,
    name: Path,
    settings: OptimizationSettings,
    open_model: OpenModel,
    folder: Path,
) -> None:
    """Write the trained model, which opens without peft, and its adapter beside it.

    The adapter is merged into the base model's own weights, not into those rounded for training.

    Args:
        trainer: At the end of training.
        weights: The trained weights, if the model does not hold them whole (see whole_weights).
        base: The folder that the model was opened from.
        name: The folder that is recorded as the adapter's base model path.
        settings: Those of the training.
        open_model: Opens the base model.
        folder: Where the model is written.
    """
    from peft import PeftModel

    model = trainer.accelerator.unwrap_model(trainer.model)
    if settings.lora is not None:
        save_adapter(model, base=name, folder=folder / ADAPTER, weights=weights)
        whole = open_model(base)
        model = PeftModel.from_pretrained(whole, folder / ADAPTER).merge_and_unload()
        weights = None
    save_weights(model, folder, weights)
    save_tokenizer(trainer.processing_class, folder)
