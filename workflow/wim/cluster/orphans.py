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


def name_as_starter() -> None:
    """Have the processes that this one starts from now on end with it, if they ask for that."""
    os.environ[VARIABLE] = _identity(psutil.Process())


def name_no_starter() -> None:
    """Have the processes that this one starts from now on outlive it."""
    os.environ.pop(VARIABLE, None)


def end_with_starter() -> None:
    """Send SIGTERM to this process as soon as its named starter, or any process in between, ends.

    Nothing happens if none was named.
    """
    starter = os.environ.get(VARIABLE)
    if starter:
        watched = (_starter_lives(starter), _line_is_whole(starter))
        threading.Thread(target=_watch, args=watched, daemon=True).start()


def _watch(*lives: Callable[[], bool]) -> None:
    while all(each() for each in lives):
        time.sleep(SECONDS)
    logger.warning("the process that started this job is gone")
    os.kill(os.getpid(), signal.SIGTERM)


def _starter_lives(starter: str) -> Callable[[], bool]:
    """Whether the named process runs."""

    def lives() -> bool:
        try:
            process = psutil.Process(int(starter.split()[0]))
            return _identity(process) == starter and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return lives


def _line_is_whole(starter: str) -> Callable[[], bool]:
    """Whether each process from this one up to the starter still has its parent.

    The children of a process that ends get another one. True if the starter is no ancestor.
    """
    line = [psutil.Process()]
    for ancestor in line[0].parents():
        line.append(ancestor)
        if _identity(ancestor) == starter:
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
