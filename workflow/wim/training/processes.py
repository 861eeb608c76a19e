"""Which of several training processes this is: what the launcher puts into their environment."""

import os


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", 0))


def world_size() -> int:
    """How many processes train together, one for each GPU; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first_process() -> bool:
    """Whether this is the process that writes files and logs."""
    return rank() == 0


def use_own_gpu() -> None:
    """Have what this process opens next on "the" GPU be on its own, not on the first one."""
    import torch

    if world_size() > 1 and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
