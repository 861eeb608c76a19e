"""Which of a machine's GPUs a job computes on, found without torch, which would take seconds.

A scheduler gives each job GPUs of its own. Where there is none, jobs take them here: a GPU has places,
each of which one job at a time holds by a lock that ends with its process.
"""

import fcntl
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
GIVEN = "WIM_GPUS"
"""How many GPUs the job requested; unset if it says nothing about them."""
DRIVER = Path("/proc/driver/nvidia/gpus")
PAUSE = 1.0
# A lock is held as long as its file is open, so as long as this process lives.
_held: list[TextIO] = []


def take_gpus(snakemake: Any) -> None:
    """Have a job see the GPUs that it requested (resource `gpu`), each for itself alone.

    0 hides all of them. A job that runs a model and says nothing takes one where there are several,
    with as few others on it as possible; a training then takes all. Those that are exported in
    CUDA_VISIBLE_DEVICES, or given by a scheduler, are all that there is to take from.

    Args:
        snakemake: The script's `snakemake` object.
    """
    requested = snakemake.resources.get("gpu")
    os.environ.pop(GIVEN, None)
    if requested is not None:
        os.environ[GIVEN] = str(requested)
        if not int(requested):
            os.environ[VISIBLE] = ""
            return
    else:
        trains = snakemake.resources.get("save_seconds") is not None
        if trains or not hasattr(snakemake.params, "untracked"):
            return
    visible = visible_gpus()
    wanted = int(requested or 1)
    if len(visible) > wanted:
        taken = _taken(visible, wanted, shares=requested is None)
        os.environ[VISIBLE] = ",".join(taken)
        logger.info("GPU %s of %s", ", ".join(taken), ", ".join(visible))


def visible_gpus() -> list[str]:
    """The names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES lists them."""
    exported = os.environ.get(VISIBLE)
    if exported is None:
        return [str(number) for number in range(_installed())]
    names = [name.strip() for name in exported.split(",")]
    # CUDA ignores what follows a name that is none.
    usable = next((place for place, name in enumerate(names) if name in ("", "-1")), len(names))
    return names[:usable]


def _installed() -> int:
    """How many NVIDIA cards the driver has."""
    if DRIVER.is_dir():
        return len(list(DRIVER.iterdir()))
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60, check=True
        )
        return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return 0


def _taken(visible: Sequence[str], wanted: int, shares: bool) -> list[str]:
    """Some of the GPUs, locked.

    Args:
        visible: Their names.
        wanted: How many.
        shares: Whether a job may be put beside others where each GPU has one; else it waits.
    """
    folder = Path(tempfile.gettempdir(), f"wim-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    told = False
    while True:
        # As many jobs as a GPU could ever hold.
        for place in range(100 if shares else 1):
            if found := _locked([folder / f"{name}.{place}" for name in visible], wanted):
                return [visible[number] for number in found]
        if not told:
            logger.info("all %d GPUs are taken by other jobs; waiting for %d", len(visible), wanted)
            told = True
        time.sleep(PAUSE)


def _locked(files: Sequence[Path], wanted: int) -> list[int]:
    """The numbers of the first free ones of some files, now locked; none if there are too few."""
    locks: dict[int, TextIO] = {}
    for number, path in enumerate(files):
        file: TextIO = path.open("w", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        locks[number] = file
        if len(locks) == wanted:
            _held.extend(locks.values())
            return list(locks)
    for lock in locks.values():
        lock.close()
    return []
