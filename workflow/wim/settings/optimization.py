"""Settings that every training has: steps, precision, and what is trained of the model."""

from typing import Literal

from pydantic import Field

from wim.settings.section import Section

Parallel = Literal["ddp", "fsdp"]


class LoraSettings(Section):
    """Low-rank adapters (LoRA) on the linear layers; the base weights stay as they are."""

    rank: int = Field(default=16, ge=1)
    """Rank of the adapters. Unit: dimensions."""

    alpha: float = Field(default=32, gt=0)
    """Scale of the adapters; their product is multiplied by alpha / rank. Unit: none."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before the adapters. Unit: probability."""

    target_modules: str | list[str] = "all-linear"
    """The layers that get an adapter: all-linear, or a list of module names. Unit: names."""


class OptimizationSettings(Section):
    """How a model is trained, whatever the loss."""

    learning_rate: float = Field(default=1e-4, gt=0)
    """Highest learning rate; 5e-7 to 5e-6 is usual without LoRA and for large models.
    Unit: none."""

    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    """Schedule of the learning rate after the warm-up. Unit: none."""

    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0. Unit: share."""

    epochs: float = Field(default=1.0, gt=0)
    """How often each row is seen. Unit: epochs."""

    batch_size: int = Field(default=8, ge=1)
    """Rows in one step of the optimizer, over all devices. Unit: rows."""

    max_length: int = Field(default=512, ge=8)
    """Longest prompt with completion; the rest is cut off. Unit: tokens."""

    max_grad_norm: float = Field(default=1.0, gt=0)
    """Longer gradients are scaled down to this norm. Unit: none."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay of AdamW. Unit: none."""

    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Arithmetic of the forward and backward pass; auto is the faster one: bfloat16 autocast on a GPU
    that has it, or on a CPU that was measured to be faster in it, else float32. Unit: none."""

    gradient_checkpointing: bool = False
    """Computes activations twice to store fewer of them: slower, less memory. Unit: none."""

    lora: LoraSettings | None = LoraSettings()
    """Low-rank adapters; null trains all weights."""
