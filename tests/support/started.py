"""Runs of snakemake that a test signals: as a whole, snakemake alone, or a job."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from support.workflow_runs import Project, forked_environment

SNAKEMAKE = "snakemake"
# What starts a job, what waits in its place for the fork that runs it, and what selects jobs.
NO_JOBS = {SNAKEMAKE, "python", "bash", "sh", "cbc"}


class StartedRun:
    """A run of snakemake in the background, which is a process group with all of its jobs."""

    def __init__(
        self, project: Project, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it; what it prints is added to `run.log` in the project's folder."""
        self.log = project.folder / "run.log"
        self.log.touch()
        self._start = self.log.stat().st_size
        command, _ = project.command(*arguments)
        forked = forked_environment(project.folder / "workflow")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                cwd=project.folder,
                env={**forked, "WIM_TEST_FORK_GROUP": "1", **(environment or {})},
                stdout=log,
                stderr=log,
                # In this session, so that forks of the fork server can join the group.
                process_group=0,
            )

    @property
    def output(self) -> str:
        """What it has printed."""
        with self.log.open() as log:
            log.seek(self._start)
            return log.read()

    def runs(self) -> bool:
        """Whether snakemake has not ended."""
        return self.process.poll() is None

    def ended(self) -> int:
        """Its exit status, once it and all its jobs have ended."""
        status = self.process.wait(1200)
        deadline = time.monotonic() + 300
        while self._members():
            assert time.monotonic() < deadline, "processes of the run are still there"
            time.sleep(0.05)
        return status

    def wait_until(self, ready: Callable[[], bool], seconds: float = 600) -> bool:
        """Wait until something is so, the run has ended or the time is over; whether it is so."""
        deadline = time.monotonic() + seconds
        while not (done := ready()) and self.runs() and time.monotonic() < deadline:
            time.sleep(0.02)
        return done

    def jobs(self) -> dict[int, str]:
        """Its running jobs: the numbers of their processes, and the names of their rules.

        A name has 15 characters at most.
        """
        return {number: name for number, name in self._members() if name not in NO_JOBS}

    def snakemake(self) -> int | None:
        """The number of the process that is snakemake, None if it has not begun or has ended."""
        # Snakemake for a single job, in which it is a child of the first, is younger.
        found = [number for number, name in self._members() if name == SNAKEMAKE]
        forks = [number for number in found if number != self.process.pid]
        return min(forks, default=None)

    def signal(self, number: int) -> None:
        """Signal snakemake and all jobs."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _members(self) -> list[tuple[int, str]]:
        """The numbers and names of the processes of its group."""
        found = []
        for number in psutil.pids():
            with suppress(OSError, psutil.NoSuchProcess):
                if os.getpgid(number) == self.process.pid:
                    name = Path(f"/proc/{number}/comm").read_text().strip()
                    if psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
                        found.append((number, name))
        return found


def killed_when(
    project: Project,
    ready: Callable[[], bool],
    arguments: Sequence[str],
    number: signal.Signals = signal.SIGKILL,
) -> str:
    """Start snakemake, wait until `ready()`, and signal it with all its jobs; what it has printed.

    Returns when no process of it is left. Fails the test if the run ends before.
    """
    run = StartedRun(project, *arguments)
    assert run.wait_until(ready, 900) and run.runs(), run.output
    run.signal(number)
    run.ended()
    return run.output
