"""Training whose weights are split over GPUs: what cannot be split."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wim.settings.optimization import OptimizationSettings

if TYPE_CHECKING:
    from wim.settings.config import Config


def problems(config: "Config") -> Iterator[str]:
    """One line for each training whose packed weights parallel: fsdp would have to split."""
    if config.parallel != "fsdp":
        return
    trained: Mapping[str, tuple[str, OptimizationSettings]] = {
        **{
            f"arms.{arm}": (config.start_of(arm), config.arm_training(arm))
            for arm, of in config.arms.items()
            if of.method == "dpo"
        },
        **{
            f"sft.{name}": (of.model or config.dialogues.actor, of)
            for name, of in config.sft.items()
        },
    }
    for place, (start, settings) in trained.items():
        if packed := config.source_of(start).below(settings.lora):
            yield (
                f"parallel: found fsdp, and {place} trains adapters on '{start}' in "
                f"{packed['quantization']}, whose packed weights cannot be split over GPUs; write "
                "parallel: ddp, or quantization: none."
            )
