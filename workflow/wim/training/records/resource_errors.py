"""Errors for memory or disk space that ran out. Importing this module loads torch."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from wim.atomic import is_full
from wim.engines.memory import out_of_memory
from wim.errors import UserError
from wim.settings.optimization import OptimizationSettings


@contextmanager
def explain_out_of_memory(
    settings: OptimizationSettings, micro_batch: int, working: Path
) -> Iterator[None]:
    """Turn running out of memory or of disk space into a UserError that says what to change.

    Args:
        settings: Those of the training.
        micro_batch: The most rows of a forward pass.
        working: Where the trainer saves itself. Only complete states count there, so one that the
            disk had no room for replaces no other.
    """
    try:
        yield
    except Exception as error:
        if out_of_memory(error):
            raise UserError(_memory_message(settings, micro_batch)) from error
        if is_full(error):
            raise UserError(_space_message(working)) from error
        raise


def _memory_message(settings: OptimizationSettings, micro_batch: int) -> str:
    whose = "the GPU's memory" if torch.cuda.is_available() else "the memory"
    tries = []
    if micro_batch > 1:
        tries.append(
            f"the rule's resource batch_size below {micro_batch}, the pairs at a time "
            "(the step's batch stays as it is)"
        )
    if not settings.gradient_checkpointing:
        tries.append("training.gradient_checkpointing: true")
    tries.append(f"training.max_length below {settings.max_length}")
    if settings.lora is None:
        tries.append("training.lora in place of all weights")
    if settings.precision == "float32":
        tries.append("training.precision: bfloat16")
    tries.append("a larger GPU, or on a CPU more mem_mb; `wim size` tells how much")
    return f"training: {whose} ran out. Try, in this order: {'; '.join(tries)}."


def _space_message(working: Path) -> str:
    from wim.training.saved_states import last_saved

    saved = last_saved(working)
    place = working if working.exists() else working.parent
    free = shutil.disk_usage(place).free / 2**20 if place.exists() else 0
    kept = f"{saved.name} is complete and kept" if saved else "no state was saved before"
    return (
        f"training: no space left on a disk ({free:.0f} MB free where {working} is); {kept}. Make "
        "room, or have `store:` on a larger disk, and run again to resume."
    )
