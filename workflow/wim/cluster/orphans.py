"""Jobs of this machine end with the snakemake that started them, even if it was killed alone.

A job that went on would do what the next run does again, and write where that one writes. Jobs of
a cluster outlive snakemake: there the next run's jobs wait for them (wim.cluster.locks).
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import psutil

logger = logging.getLogger(__name__)

VARIABLE = "WIM_STARTED_BY"
SECONDS = 0.5


def starter() -> dict[str, str]:
    """What the environment of a process needs so that it ends with this one, if it asks for that."""
    return {VARIABLE: _identity(psutil.Process())}


def no_starter() -> dict[str, str]:
    """What the environment of a process needs so that it outlives this one."""
    return {VARIABLE: ""}


def end_with_starter() -> None:
    """Send SIGTERM to this process as soon as its named starter, or any process in between, ends.

    Nothing happens if none was named.
    """
    named = os.environ.get(VARIABLE)
    if named:
        watched = (_lives(named), _line_is_whole(named))
        threading.Thread(target=_watch, args=watched, daemon=True).start()


def _watch(*lives: Callable[[], bool]) -> None:
    while all(each() for each in lives):
        time.sleep(SECONDS)
    logger.warning("the process that started this job is gone")
    os.kill(os.getpid(), signal.SIGTERM)


def _lives(named: str) -> Callable[[], bool]:
    """Whether the starter that was named runs."""

    def lives() -> bool:
        try:
            process = psutil.Process(int(named.split()[0]))
            return _identity(process) == named and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return lives


def _line_is_whole(named: str) -> Callable[[], bool]:
    """Whether each process from this one up to the starter still has its parent.

    The children of a process that ends get another one. True if the starter is no ancestor.
    """
    line = [psutil.Process()]
    for ancestor in line[0].parents():
        line.append(ancestor)
        if _identity(ancestor) == named:
            break
    else:
        line.clear()

    def whole() -> bool:
        try:
            return all(child.ppid() == parent.pid for child, parent in pairwise(line))
        except psutil.NoSuchProcess:
            return False

    return whole


def _identity(process: psutil.Process) -> str:
    """The number of a process, and when it began, as numbers are used again."""
    try:
        return f"{process.pid} {process.create_time()}"
    except psutil.NoSuchProcess:
        return ""
