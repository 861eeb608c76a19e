"""The precision in which a machine computes fastest: measured once, and kept for later jobs."""

import functools
import json
import logging
import os
import platform
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wim.atomic import partial_path
from wim.provenance.digest import digest_of

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)
Work = Literal["generation", "training"]
PRECISIONS = ("float32", "bfloat16", "float16")
# Rows, inputs and outputs of the products that a model of a small width is made of: of a step of a
# batch and of a block of a prompt, and of a batch of pairs.
SHAPES: dict[Work, tuple[tuple[int, int, int], ...]] = {
    "generation": ((32, 768, 8192), (64, 768, 8192)),
    "training": ((256, 768, 3072),),
}
SECONDS_A_PRODUCT = 0.04
# What the system has where there may be a graphics card: NVIDIA's driver, AMD's, and Windows' own.
GPUS = ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
# What /proc/cpuinfo says of each core on x86 and on ARM.
OF_CORES = ("model name", "flags", "CPU part", "Features")


@functools.cache
def fitting_precision(work: Work) -> str:
    """The precision that `auto` is on this machine: float32, bfloat16 or float16.

    On a GPU bfloat16 where the card has it; else float16 to generate and float32 to train. On a CPU
    the one of float32 and bfloat16 in which products take less time, measured on one thread when it
    is first asked for and kept with the processor's description, so that all jobs of such machines
    have one answer. torch is not imported where there is no card and the answer is kept.
    """
    if _has_gpu():
        import torch

        # Older cards compute bfloat16 by way of float32.
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16"
        return "float16" if work == "generation" else "float32"
    return _precisions_of_cpu()[work]


def dtype_of(precision: str, work: Work) -> "torch.dtype":
    """A precision as torch's type; `auto` is the machine's."""
    import torch

    named = fitting_precision(work) if precision == "auto" else precision
    found: torch.dtype = getattr(torch, named)
    return found


def description() -> dict[str, str]:
    """What of the machine decides how fast its processor multiplies, found without torch."""
    found = {
        "torch": version("torch"),
        "machine": platform.machine(),
        "processor": platform.processor(),
    }
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines:
            key, _, value = map(str.strip, line.partition(":"))
            if key in OF_CORES:
                found.setdefault(key, value)
    return found


def rates() -> dict[Work, dict[str, float]]:
    """GFLOP/s of one thread of the CPU in float32 and bfloat16, for each kind of work.

    Takes about half a second. Of each shape the fastest of several products counts, which other
    work on the machine disturbs least; shapes of one kind are summed up by their time.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return {work: _rates(shapes) for work, shapes in SHAPES.items()}
    finally:
        torch.set_num_threads(before)


def _rates(shapes: tuple[tuple[int, int, int], ...]) -> dict[str, float]:
    import torch

    operations = sum(2 * rows * inputs * outputs for rows, inputs, outputs in shapes)
    seconds = {
        name: sum(_seconds(shape, getattr(torch, name)) for shape in shapes)
        for name in PRECISIONS[:2]
    }
    return {name: round(operations / each / 1e9, 1) for name, each in seconds.items()}


def _seconds(shape: tuple[int, int, int], dtype: "torch.dtype") -> float:
    """The shortest time of a product, after one that sets it up."""
    import torch
    from torch.nn.functional import linear

    rows, inputs, outputs = shape
    left = torch.ones(rows, inputs, dtype=dtype)
    weight = torch.ones(outputs, inputs, dtype=dtype)
    linear(left, weight)
    found: list[float] = []
    while len(found) < 3 or sum(found) < SECONDS_A_PRODUCT:
        start = time.perf_counter()
        linear(left, weight)
        found.append(time.perf_counter() - start)
    return min(found)


def _precisions_of_cpu() -> dict[Work, str]:
    """The precision for each kind of work, measured now if none is kept."""
    machine = description()
    try:
        path = _folder() / f"{digest_of(machine)[:16]}.json"
        if not path.exists():
            _keep(path, json.dumps(_measured(machine), indent=2) + "\n")
        found = _read(path)
    except (OSError, RuntimeError, ValueError) as error:
        logger.warning(
            "precision: what is measured of this machine cannot be kept or read, so that each job "
            "measures anew (%s); remove the file, or name a writable folder by XDG_CACHE_HOME.",
            error,
        )
        found = _measured(machine)["precisions"]
    logger.debug("precision: %s", found)
    return found


def _read(path: Path) -> dict[Work, str]:
    """What is kept. Raises ValueError, naming the file, where it is not what was written."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        found: dict[Work, str] = {work: kept["precisions"][work] for work in SHAPES}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from None
    if unknown := set(found.values()) - set(PRECISIONS):
        raise ValueError(f"{path}: found {', '.join(map(str, unknown))}")
    return found


def _folder() -> Path:
    """Where machines are kept. Raises RuntimeError where there is no home."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "wim/machines"


def _keep(path: Path, text: str) -> None:
    """Write a file, unless another job has written it first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    try:
        partial.write_text(text, encoding="utf-8")
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _measured(machine: dict[str, str]) -> dict[str, Any]:
    measured = rates()
    precisions = {work: max(of, key=lambda name: of[name]) for work, of in measured.items()}
    logger.info("precision: %s, as one thread has %s GFLOP/s", precisions, measured)
    return {"machine": machine, "precisions": precisions, "gflops": measured}


def _has_gpu() -> bool:
    """Whether this job can use a graphics card; torch is asked only where the system has one."""
    if not any(Path(folder).exists() for folder in GPUS):
        return False
    import torch

    return torch.cuda.is_available()
