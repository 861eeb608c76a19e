"""Training on several GPUs of one node: a process each, started by `accelerate launch`.

Data-parallel (DDP): each process takes its share of every global batch, so the steps are those of
one process. Without CUDA the processes compute on the processor (gloo), which is how it is tested.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from wim.errors import UserError
from wim.walltime import work_was_kept

logger = logging.getLogger(__name__)
STOPPING = (signal.SIGTERM, signal.SIGUSR1)
FAILED = "failed.json"


def write_checkpoint_on(gpus: int | None, log: Path, **arguments: Any) -> None:
    """wim.training.dpo.write_checkpoint on so many GPUs, None for those that the job sees.

    log: the job's log, to which the first process adds. Raises UserError as that does, or if a
    process dies; exits with 128 + signal after SIGTERM or SIGUSR1, when all have saved.
    """
    processes = _visible_gpus() if gpus is None else max(1, gpus)
    if processes == 1:
        if gpus == 1:
            # More would be driven by one process, which is slow and another batch.
            os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
        from wim.training.dpo import write_checkpoint

        write_checkpoint(**arguments)
        return
    with TemporaryDirectory() as folder:
        job = Path(folder, "job.json")
        job.write_text(json.dumps({"log": str(log), "arguments": arguments}, default=_as_json))
        ended, stopped_by = _run(_launcher(processes, job))
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


def _as_json(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


def _launcher(processes: int, job: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"),
        *("--num_processes", str(processes), "--num_machines", "1", "--main_process_port", "0"),
        *("--mixed_precision", "no", "--dynamo_backend", "no"),
        *("-m", "wim.training.launch", str(job)),
    ]


def _run(command: list[str]) -> tuple[int, int | None]:
    """The exit status, and the signal that stopped it if one did.

    Signals go on to all processes; the launcher itself ignores them, so that it waits for theirs.
    """
    import psutil

    stopped: list[int] = []

    def ignore() -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)

    process = subprocess.Popen(command, preexec_fn=ignore)

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
    from wim.scripting import log_to
    from wim.settings.training import TrainingSettings
    from wim.training.dpo import write_checkpoint

    told = json.loads(job.read_text())
    arguments = told["arguments"]
    for name in ("pairs", "manifest", "store", "folder"):
        arguments[name] = Path(arguments[name])
    arguments["settings"] = TrainingSettings.model_validate(arguments["settings"])
    first = os.environ.get("RANK", "0") == "0"
    log_to(Path(told["log"]) if first else Path(os.devnull), mode="a", quiet=not first)
    try:
        write_checkpoint(**arguments)
    except UserError as error:
        if first:
            job.with_name(FAILED).write_text(json.dumps({"error": str(error)}))
        sys.exit(1)


if __name__ == "__main__":
    _one_process(Path(sys.argv[1]))
