"""Jobs of this machine end with the process that started them; those of a cluster outlive it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

STARTER = """
import os, subprocess, sys
from wim.cluster import orphans
os.environ.update(getattr(orphans, sys.argv[1])())
# A second command, so that the shell does not become the job.
subprocess.run(["bash", "-c", f"{sys.executable} {sys.argv[2]}; true"])
"""
JOB = """
import signal, sys, time
from wim.cluster.orphans import end_with_starter
def leave(number, frame):
    print("left in order", flush=True)
    sys.exit(1)
signal.signal(signal.SIGTERM, leave)
end_with_starter()
print("works", flush=True)
time.sleep(60)
"""


@contextmanager
def started(
    how: str, folder: Path
) -> Iterator[tuple["subprocess.Popen[str]", psutil.Process, psutil.Process]]:
    """A starter, its shell and the job that the shell runs."""
    job = folder / "job.py"
    job.write_text(JOB)
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, how, str(job)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout
    assert starter.stdout.readline() == "works\n"
    shell, script = psutil.Process(starter.pid).children(recursive=True)
    try:
        yield starter, shell, script
    finally:
        for process in (starter, shell, script):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        starter.wait()


@pytest.mark.parametrize("killed", ["starter", "shell"])
def test_a_job_leaves_in_order_when_its_starter_or_what_is_between_is_killed(
    tmp_path: Path, killed: str
) -> None:
    with started("starter", tmp_path) as (starter, shell, script):
        (starter if killed == "starter" else shell).send_signal(signal.SIGKILL)
        script.wait(timeout=20)
        assert starter.stdout
        assert starter.stdout.readline() == "left in order\n"


def test_a_job_of_a_cluster_outlives_its_starter(tmp_path: Path) -> None:
    with started("no_starter", tmp_path) as (starter, _, script):
        starter.kill()
        starter.wait()
        time.sleep(1.5)
        assert script.is_running()


def test_a_job_whose_starter_is_gone_before_it_looks_leaves_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", JOB],
        env={**os.environ, "WIM_STARTED_BY": f"{os.getpid()} 1.0"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.endswith("left in order\n")
