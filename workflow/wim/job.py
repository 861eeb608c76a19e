"""What every rule's script needs: its settings, a log, and errors in the user's terms."""

import json
import logging
import math
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wim.cluster.gpus import take_gpus
from wim.cluster.orphans import end_with_starter
from wim.cluster.requeue import requeue_job
from wim.errors import UserError

logger = logging.getLogger("wim")
CONTAINER_CPU = Path("/sys/fs/cgroup/cpu.max")


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run a rule's work, with its log file, its threads and its signals.

    On this machine the job ends with the snakemake that started it, as if by SIGTERM.
    A UserError ends the job with its message, any other error with one line that names the log,
    which has the traceback. Libraries get the rule's threads and no access to the hub.

    Args:
        snakemake: The script's `snakemake` object.

    Yields:
        The rule's `spec`: the settings that decide its output.
    """
    log = Path(snakemake.log[0])
    # Of a SLURM job the cores it was given; snakemake cuts `threads` to those of its own machine.
    asked = int(os.environ.get("SLURM_CPUS_PER_TASK", snakemake.threads))
    _configure_environment(min(asked, usable_cores()))
    log_to(log)
    _leave_orderly_on_signals()
    end_with_starter()
    if slurm_job := os.environ.get("SLURM_JOB_ID"):
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
        logger.debug("SLURM job %s, CUDA_VISIBLE_DEVICES %s", slurm_job, gpus)
    try:
        take_gpus(snakemake)
        yield json.loads(snakemake.params.spec)
        # The output is written. A warning now would end the interpreter on its way out.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    except SystemExit as leaving:
        if leaving.code == 128 + signal.SIGUSR1:
            requeue_job(log.with_suffix(".requeues"))
        raise
    except UserError as error:
        logger.error("error: %s", error)
        sys.exit(f"(rule {snakemake.rule}, log: {log})")
    except Exception as error:
        logger.debug("traceback", exc_info=True)
        logger.error("error: rule %s failed: %s: %s", snakemake.rule, type(error).__name__, error)
        sys.exit(f"The traceback is in {log}")


def store_folder(snakemake: Any) -> Path:
    """The rule's folder in the row store."""
    return Path(snakemake.params.untracked.store) / str(snakemake.rule)


def scratch_folder(snakemake: Any) -> str | None:
    """The folder on a node's own disk, as the user wrote it."""
    found: str | None = snakemake.params.untracked.local_scratch
    return found


def _leave_orderly_on_signals() -> None:
    """Let SIGTERM and SIGUSR1 (a cluster's warning) unwind, so that open stores are flushed."""

    def leave(number: int, _frame: object) -> None:
        name = signal.Signals(number).name
        logger.warning("%s: stopping; what is done is kept, run again to continue", name)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGUSR1, leave)


def usable_cores() -> int:
    """The processor cores that this process may use: by its affinity, and its container's share.

    More threads than these would wait for each other.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    # Microseconds of a period, or `max`, which is no number.
    with suppress(OSError, ValueError):
        allowed, period = CONTAINER_CPU.read_text(encoding="utf-8").split()
        cores = min(cores, math.ceil(int(allowed) / int(period)))
    return max(1, cores)


def _configure_environment(threads: int) -> None:
    """Set before torch is imported, which reads the thread count once."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # How often a thread looks for work before it sleeps: alone a job is as fast as with OpenMP's own
    # hundreds of thousands, beside others it has twice the speed. Measured by bench/threads.py.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # The same bits wherever operands lie in memory; see docs/design/engines.md.
    os.environ.setdefault("MKL_CBWR", "AUTO")
    # A compiler that bitsandbytes sets up when it is imported, which takes over a second; nothing is
    # compiled here.
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def log_to(log: Path, mode: str = "w", quiet: bool = False) -> None:
    """Send all logging to a file and, unless quiet, the library's own lines to the terminal."""
    log.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(log, mode=mode, encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    to_file.setLevel(logging.DEBUG)
    to_terminal = logging.StreamHandler()
    to_terminal.setFormatter(logging.Formatter("%(message)s"))
    to_terminal.setLevel(logging.CRITICAL if quiet else logging.INFO)
    # Other libraries' notes and warnings go to the log alone.
    to_terminal.addFilter(lambda record: record.name.startswith("wim"))
    logging.basicConfig(level=logging.WARNING, handlers=[to_file, to_terminal], force=True)
    logger.setLevel(logging.DEBUG)
    logging.captureWarnings(True)
