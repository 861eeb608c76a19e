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
