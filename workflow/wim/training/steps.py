"""One optimizer step: its precision, its micro-batches, and the error when it is not finite."""

from collections.abc import Sequence

from wim.errors import UserError
from wim.settings.optimization import OptimizationSettings


def autocast_bf16(precision: str) -> bool:
    """Whether matrix products are in bfloat16: if configured, or `auto` and it is the faster one."""
    from wim.engines.machine import fitting_precision

    return (fitting_precision("training") if precision == "auto" else precision) == "bfloat16"


def accumulation_steps(batch_size: int, per_device: int, devices: int) -> tuple[int, int]:
    """The micro-batch and the accumulation steps that make up a batch over all devices exactly.

    Args:
        batch_size: Rows of one optimizer step.
        per_device: The most rows of one forward pass.
        devices: Processes that share a batch.

    Returns:
        (micro-batch, accumulation steps). The micro-batch is the largest divisor of a device's
        share that is at most `per_device`.

    Raises:
        ValueError: The batch cannot be divided evenly.
    """
    if batch_size % devices:
        raise ValueError(f"a batch of {batch_size} cannot be shared out over {devices} devices")
    share = batch_size // devices
    micro = max(size for size in range(1, min(per_device, share) + 1) if share % size == 0)
    return micro, share // micro


def not_finite(
    found: str, settings: OptimizationSettings, batch: str = "", tries: Sequence[str] = ()
) -> UserError:
    """The error for a loss or a gradient that is nan or infinite.

    Args:
        found: What was found, and when.
        settings: Those of the training, for what to try.
        batch: A sentence on the rows of the batch.
        tries: Further remedies.
    """
    common = [f"a lower learning_rate (now {settings.learning_rate:g}) or a longer warmup"]
    if settings.precision != "float32":
        common.append("precision: float32")
    return UserError(
        f"training: the {found}; stopped, nothing of this step is kept.{batch} Try "
        f"{'; '.join([*common, *tries])}."
    )
