"""Training on several GPUs of one node: a process each, started by torchrun.

Each process takes its share of every global batch, so the steps are those of one process. It holds
the whole model (DDP) or a share of it (FSDP). Without CUDA the processes compute on the CPU (gloo),
as in the tests.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from pydantic import validate_call
from pydantic_core import to_json

from wim.cluster.gpu_checks import check_gpus
from wim.cluster.locks import parent_has_turn
from wim.cluster.orphans import end_with_starter, starter
from wim.cluster.requeue import work_was_kept
from wim.errors import UserError
from wim.job import log_to, scratch_folder, store_folder
from wim.training.processes import is_first_process
from wim.training.run.setup import Run
from wim.training.run.sharding import ENVIRONMENT

logger = logging.getLogger(__name__)
STOPPING = (signal.SIGTERM, signal.SIGUSR1)
FAILED = "failed.json"
# What torchrun's agent answers by ending all processes after 30 s. SIGTERM is not among them: the
# processes end by themselves, when they have saved.
ENDS_AT_ONCE = "SIGINT,SIGHUP,SIGQUIT"
# accelerate's settings by environment are for a user's own launches.
FOREIGN = ("ACCELERATE_", "FSDP_")


def training_run(snakemake: Any) -> Run:
    """Where a rule's training starts from and goes to."""
    spec, untracked = json.loads(snakemake.params.spec), snakemake.params.untracked
    return Run(
        manifest=Path(snakemake.input.manifest),
        seed=spec["seed"],
        per_device=snakemake.resources.batch_size,
        store=store_folder(snakemake),
        save_seconds=snakemake.resources.save_seconds,
        folder=Path(snakemake.output.manifest).parent,
        scratch=scratch_folder(snakemake),
        logs=Path(snakemake.log[0]).with_suffix(""),
        tracking=untracked.tracking,
        quantization=spec.get("quantization", "none"),
        thinking=spec.get("thinking"),
        reasoning=spec.get("reasoning", "trained"),
        parallel=untracked.parallel,
        attention=untracked.attention,
    )


def optional_path(named: Any) -> Path | None:
    """An optional input of a rule: None if the rule has none."""
    return Path(str(named)) if named else None


def write_checkpoint_on(
    write: Callable[..., None], gpus: int | None, log: Path, **arguments: Any
) -> None:
    """Call a training's function on one or several GPUs.

    Args:
        write: A function of a module, such as train_dpo, with annotated arguments, one of them the
            `run`.
        gpus: Their number; None for those that are visible to the job.
        log: The job's log, to which the first process appends.
        arguments: Those of `write`.

    Raises:
        UserError: As `write` does, or a process died, or the job has not the GPUs it requested.
        SystemExit: With 128 + signal, after SIGTERM or SIGUSR1, when all processes have saved.
    """
    check_gpus()
    processes = _visible_gpus() if gpus is None else max(1, gpus)
    if processes == 1:
        if gpus == 1:
            # One process would drive all visible GPUs, which is slow and changes the batch.
            os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
        write(**arguments)
        return
    run = arguments["run"]
    launch = partial(_launch, write, processes, log, arguments)
    write(**{**arguments, "run": replace(run, launch=launch)})


def _launch(
    write: Callable[..., None], processes: int, log: Path, arguments: Mapping[str, Any]
) -> None:
    """Call a training's function in several processes."""
    with TemporaryDirectory() as folder:
        job = Path(folder, "job.json")
        place = [write.__module__, write.__name__]
        job.write_bytes(to_json({"write": place, "log": str(log), "arguments": arguments}))
        sharded = arguments["run"].parallel == "fsdp"
        ended, stopped_by = _run(_launcher(processes, job), ENVIRONMENT if sharded else {})
        failed = job.with_name(FAILED)
        if failed.exists():
            raise UserError(json.loads(failed.read_text())["error"])
    if stopped_by is not None:
        # The processes save before they exit.
        work_was_kept()
        sys.exit(128 + stopped_by)
    if ended:
        raise UserError(
            f"training on {processes} GPUs ended with status {ended}; what the processes "
            f"reported is above and in {log}."
        )


def _visible_gpus() -> int:
    import torch

    return max(1, torch.cuda.device_count())


def _launcher(processes: int, job: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={processes}",
        f"--signals-to-handle={ENDS_AT_ONCE}",
        "-m",
        "wim.training.run.launch",
        str(job),
    ]


def _run(command: list[str], environment: Mapping[str, str]) -> tuple[int, int | None]:
    """Run the launcher; returns its exit status, and the signal that stopped it if one did.

    Signals are forwarded to all processes. The launcher ignores them, so that it waits until the
    processes have saved.
    """
    import psutil

    stopped: list[int] = []

    def ignore() -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)

    own = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
    process = subprocess.Popen(command, env={**own, **environment, **starter()}, preexec_fn=ignore)

    def forward(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)
        for started in psutil.Process(process.pid).children(recursive=True):
            started.send_signal(number)

    before: dict[int, Callable[..., Any] | int | None] = {
        number: signal.signal(number, forward) for number in STOPPING
    }
    try:
        ended = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return ended, stopped[0] if stopped else None


def _one_process(job: Path) -> None:
    """Train in one of several processes; the first one writes the checkpoint and the log."""
    call = json.loads(job.read_text())
    module, name = call["write"]
    write: Callable[..., None] = getattr(import_module(module), name)
    first = is_first_process()
    end_with_starter()
    parent_has_turn()
    log_to(Path(call["log"]) if first else Path(os.devnull), mode="a", quiet=not first)
    try:
        validate_call(write)(**call["arguments"])
    except UserError as error:
        # One process may run out of memory alone.
        if first or not job.with_name(FAILED).exists():
            job.with_name(FAILED).write_text(json.dumps({"error": str(error)}))
        sys.exit(1)


if __name__ == "__main__":
    _one_process(Path(sys.argv[1]))
