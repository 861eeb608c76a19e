"""Trainings of no model, to see what the processes of a training are given."""

import json
import os
import signal
import time
from pathlib import Path

from wim.training.processes import rank, use_own_gpu
from wim.training.run.setup import Run


def devices(run: Run, folder: Path) -> None:
    """Write which of two GPUs, which torch claims to have, each process computes on, and where from."""
    if run.launch is not None:
        run.launch()
        return
    import torch

    chosen: list[int] = []
    torch.cuda.is_available = lambda: True
    torch.cuda.set_device = chosen.append
    use_own_gpu()
    foreign = sorted(name for name in os.environ if name.startswith(("ACCELERATE_", "FSDP_")))
    told = {"device": chosen, "world": os.environ["WORLD_SIZE"], "foreign": foreign}
    (folder / f"{rank()}.json").write_text(json.dumps(told))


def saves(run: Run, folder: Path) -> None:
    """Wait for SIGTERM; then take a second to save, and write how many signals came meanwhile."""
    if run.launch is not None:
        run.launch()
        return
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    (folder / f"{rank()}.ready").write_text(str(os.getppid()))
    while not signals:
        time.sleep(0.05)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        time.sleep(0.05)
    (folder / f"{rank()}.saved").write_text(str(len(signals)))
    raise SystemExit(128 + signal.SIGTERM)
