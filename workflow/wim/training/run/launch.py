"""Training on several GPUs of one node: a process each, started by `accelerate launch`.

Each process takes its share of every global batch, so the steps are those of one process; it holds
the whole model (DDP), or a share of it too (FSDP). Without CUDA the processes compute on the processor (gloo), which is how it is tested.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from pydantic import validate_call
from pydantic_core import to_json

from wim.cluster.requeue import work_was_kept
from wim.errors import UserError
from wim.job import log_to, scratch_folder, store_folder, trackers_wanted
from wim.training.run.processes import is_first_process
from wim.training.run.setup import Run
from wim.training.run.sharding import ENVIRONMENT

logger = logging.getLogger(__name__)
STOPPING = (signal.SIGTERM, signal.SIGUSR1)
FAILED = "failed.json"


def training_run(snakemake: Any) -> Run:
    """Where a rule's training starts from and goes to."""
    spec = json.loads(snakemake.params.spec)
    return Run(
        manifest=Path(snakemake.input.manifest),
        seed=spec["seed"],
        per_device=snakemake.resources.batch_size,
        store=store_folder(snakemake),
        save_seconds=snakemake.resources.save_seconds,
        folder=Path(snakemake.output.manifest).parent,
        scratch=scratch_folder(snakemake),
        logs=Path(snakemake.log[0]).with_suffix(""),
        tracking=trackers_wanted(snakemake),
        quantization=spec.get("quantization", "none"),
        parallel=snakemake.config.get("parallel", "ddp"),
    )


def optional_path(named: Any) -> Path | None:
    """An input that a rule may be without."""
    return Path(str(named)) if named else None


def write_checkpoint_on(
    write: Callable[..., None], gpus: int | None, log: Path, **arguments: Any
) -> None:
    """A trainer's write_checkpoint on so many GPUs, None for those that the job sees.

    write: a function of a module, whose annotations tell its arguments' types. log: the job's log,
    to which the first process adds. Raises UserError as `write` does, or if a process dies; exits
    with 128 + signal after SIGTERM or SIGUSR1, when all have saved.
    """
    processes = _visible_gpus() if gpus is None else max(1, gpus)
    if processes == 1:
        if gpus == 1:
            # More would be driven by one process, which is slow and another batch.
            os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
        write(**arguments)
        return
    with TemporaryDirectory() as folder:
        job = Path(folder, "job.json")
        place = [write.__module__, write.__name__]
        told = {"write": place, "log": str(log), "arguments": arguments}
        job.write_bytes(to_json(told))
        sharded = arguments["run"].parallel == "fsdp"
        ended, stopped_by = _run(_launcher(processes, job), ENVIRONMENT if sharded else {})
        failed = job.with_name(FAILED)
        if failed.exists():
            raise UserError(json.loads(failed.read_text())["error"])
    if stopped_by is not None:
        # The processes save before they leave.
        work_was_kept()
        sys.exit(128 + stopped_by)
    if ended:
        raise UserError(
            f"training on {processes} GPUs ended with status {ended}; the processes' words stand "
            f"above and in {log}."
        )


def _visible_gpus() -> int:
    import torch

    return max(1, torch.cuda.device_count())


def _launcher(processes: int, job: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"),
        *("--num_processes", str(processes), "--num_machines", "1", "--main_process_port", "0"),
        *("--mixed_precision", "no", "--dynamo_backend", "no"),
        *("-m", "wim.training.run.launch", str(job)),
    ]


def _run(command: list[str], environment: Mapping[str, str]) -> tuple[int, int | None]:
    """The exit status, and the signal that stopped it if one did.

    Signals go on to all processes; the launcher itself ignores them, so that it waits for theirs.
    """
    import psutil

    stopped: list[int] = []

    def ignore() -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)

    process = subprocess.Popen(command, env=os.environ | environment, preexec_fn=ignore)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)
        for started in psutil.Process(process.pid).children(recursive=True):
            started.send_signal(number)

    before: dict[int, Callable[..., Any] | int | None] = {
        number: signal.signal(number, pass_on) for number in STOPPING
    }
    try:
        ended = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return ended, stopped[0] if stopped else None


def _one_process(job: Path) -> None:
    """What each process does: train, and if it is the first, write the checkpoint and the log."""
    told = json.loads(job.read_text())
    module, name = told["write"]
    write: Callable[..., None] = getattr(import_module(module), name)
    first = is_first_process()
    log_to(Path(told["log"]) if first else Path(os.devnull), mode="a", quiet=not first)
    try:
        validate_call(write)(**told["arguments"])
    except UserError as error:
        # One process may run out of memory alone.
        if first or not job.with_name(FAILED).exists():
            job.with_name(FAILED).write_text(json.dumps({"error": str(error)}))
        sys.exit(1)


if __name__ == "__main__":
    _one_process(Path(sys.argv[1]))
