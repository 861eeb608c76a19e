"""Snakemake's own ways, where the workflow needs other ones."""

import subprocess
import sys

# What interrupts a real scheduler while it selects jobs, which it does with its lock held.
INTERRUPTED = """
import os, signal, threading
from types import SimpleNamespace
from snakemake.scheduling.job_scheduler import JobScheduler
from wim.dag.snakemake_internals import stop_on_sigterm

scheduler = JobScheduler.__new__(JobScheduler)
scheduler._lock, scheduler._open_jobs = threading.Lock(), threading.Semaphore(0)
scheduler._user_kill = None
stop_on_sigterm(SimpleNamespace(scheduler=scheduler))
with scheduler._lock:
    os.kill(os.getpid(), signal.SIGTERM)
scheduler._open_jobs.acquire()
print(scheduler._user_kill)
"""


def test_sigterm_stops_a_run_that_selects_its_jobs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "graceful\n", done.stderr
