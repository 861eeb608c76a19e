"""What is said when memory or disk space runs out. Importing this module loads torch."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from wim.errors import UserError
from wim.settings.optimization import OptimizationSettings

# What torch says of the processor's memory, and of files that could not be written to the end.
_NO_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
)
_NO_SPACE = ("no space left", "quota exceeded", "file write failed", "failed writing file")


@contextmanager
def shortages_told(
    settings: OptimizationSettings, micro_batch: int, working: Path
) -> Iterator[None]:
    """Turn running out of memory or of disk space into a UserError that says what helps.

    micro_batch: pairs that share a forward pass. working: where the trainer saves itself; a state
    there counts once it is whole, so one that the disk had no room for takes no other's place.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if _out_of_memory(error):
            raise UserError(_memory_message(settings, micro_batch)) from error
        if _out_of_space(error):
            raise UserError(_space_message(working)) from error
        raise


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in _NO_MEMORY
    )


def _out_of_space(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(words in str(error).lower() for words in _NO_SPACE)


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
    tries.append("a larger card, or on a processor more mem_mb; `wim size` tells how much")
    return f"training: {whose} ran out. Try, in this order: {'; '.join(tries)}."


def _space_message(working: Path) -> str:
    from wim.training.run.callbacks import last_saved

    saved = last_saved(working)
    place = working if working.exists() else working.parent
    free = shutil.disk_usage(place).free / 2**20 if place.exists() else 0
    kept = f"{saved.name} is whole and kept" if saved else "no state was saved before"
    return (
        f"training: no space left on a disk ({free:.0f} MB free where {working} is); {kept}. Make "
        "room, or have `store:` on a larger disk, and run again to go on."
    )
