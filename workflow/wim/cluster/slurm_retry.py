"""SLURM's commands, retried while the controller is busy or unreachable.

The workflow puts wrappers of sbatch, squeue, sacct and scancel (profiles/slurm/bin) before the real
ones on the PATH of the main process. Each runs `python -m wim.cluster.slurm_retry <command> <arguments>`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

STUBS = "profiles/slurm/bin"
# What SLURM's commands say when the controller or the database is busy or away for a while.
TRANSIENT_ERRORS = (
    "unable to contact slurm controller",
    "socket timed out",
    "slurm temporarily unable to accept job",
    "resource temporarily unavailable",
    "connection refused",
    "connection timed out",
    "connection reset",
    "communication connection failure",
    "zero bytes were transmitted",
    "unable to establish connection",
    "problem talking to the database",
    "message receive failure",
    "transport endpoint is not connected",
)
# For how long, in seconds. The plugin gives a query for states one minute, and forgets its jobs if
# none is answered. So queries end sooner, with no output: it queries a job without a state again.
PATIENCE = {"sbatch": 3600.0, "scancel": 50.0, "squeue": 40.0, "sacct": 40.0}
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0


def put_retry_wrappers_on_path(workflow_folder: Path) -> None:
    """Put the wrappers before SLURM's own commands, for this process and those that it starts."""
    stubs = str(workflow_folder / STUBS)
    os.environ["PATH"] = os.pathsep.join([stubs, os.environ.get("PATH", "")])
    os.environ["WIM_PYTHON"] = sys.executable


def is_transient(answer: "subprocess.CompletedProcess[str]") -> bool:
    """Whether a command failed for a reason that goes away by waiting."""
    message = answer.stderr.lower()
    return answer.returncode != 0 and any(reason in message for reason in TRANSIENT_ERRORS)


def run_patiently(
    command: str, arguments: Sequence[str], given: str | None
) -> "subprocess.CompletedProcess[str]":
    """Run one of SLURM's commands until it succeeds, fails for good, or its time is over.

    A job that was submitted although sbatch reported a failure is found by its name and comment,
    and is not submitted twice.

    Args:
        command: sbatch, squeue, sacct or scancel.
        arguments: Its arguments.
        given: What it reads from standard input.

    Returns:
        The last answer.
    """
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

    program = real_program(command)

    def once() -> "subprocess.CompletedProcess[str]":
        answer = subprocess.run(
            [program, *arguments], input=given, capture_output=True, text=True, check=False
        )
        if command == "sbatch" and is_transient(answer) and (job := _submitted(arguments)):
            return subprocess.CompletedProcess(answer.args, 0, f"{job}\n", "")
        return answer

    return Retrying(
        retry=retry_if_result(is_transient),
        wait=wait_exponential(FIRST_WAIT, LONGEST_WAIT),
        stop=stop_after_delay(PATIENCE[command]),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )(once)


def real_program(command: str) -> str:
    """The path of the real command, not of its wrapper. Raises FileNotFoundError."""
    places = [
        place
        for place in os.environ.get("PATH", "").split(os.pathsep)
        if not Path(place).as_posix().endswith(STUBS)
    ]
    found = shutil.which(command, path=os.pathsep.join(places))
    if found is None:
        raise FileNotFoundError(f"{command}: not on the PATH")
    return found


def _submitted(arguments: Sequence[str]) -> str | None:
    """The waiting or running job with the name and comment of an sbatch call, if there is one."""
    options = dict(pairwise(arguments))
    name, comment = options.get("--job-name"), options.get("--comment")
    if name is None or comment is None:
        return None
    listed = subprocess.run(
        [real_program("squeue"), "--noheader", "--name", name, "--format=%i|%k"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in listed.stdout.splitlines():
        job, _, its_comment = line.partition("|")
        if its_comment.strip() == comment:
            return job.strip()
    return None


def _account(arguments: Sequence[str]) -> str:
    """The account of the user's last job, empty if there is none or no accounting.

    The plugin looks for it by a pipe that reaches sacct as arguments, which sacct refuses.

    Args:
        arguments: Those of its call, up to and with `| tail -1`.
    """
    asked = [real_program("sacct"), *arguments[: arguments.index("|")]]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    lines = [] if answer.returncode else answer.stdout.splitlines()
    return lines[-1].strip() if lines else ""


def main(command: str, *arguments: str) -> int:
    """Answer as the command would; the exit status."""
    try:
        if command == "sacct" and "|" in arguments:
            print(_account(arguments))
            return 0
        given = sys.stdin.read() if arguments[-1:] == ("/dev/stdin",) else None
        answer = run_patiently(command, arguments, given)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 127
    unanswered = command in ("squeue", "sacct") and is_transient(answer)
    sys.stdout.write("" if unanswered else answer.stdout)
    sys.stderr.write(answer.stderr)
    return 0 if unanswered else answer.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
