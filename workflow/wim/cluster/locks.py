"""Turns at work that one process at a time should do, by locks of the file system.

A lock (POSIX, fcntl) ends with its process, however that ends, and is seen by every node on NFS,
Lustre (mounted with `flock`), GPFS and CephFS. Where a file system has no locks, or each node its
own (Lustre's `localflock`, NFS with `local_lock`, BeeGFS by default), a turn keeps out nobody, or
nobody on other nodes. So what is done in a turn must be right also if two do it at once: a turn
only saves doing it twice.
"""

import errno
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wim.cluster.requeue import work_was_kept

logger = logging.getLogger(__name__)

LOCK = ".lock"
"""The lock file of a folder: empty, never deleted, locked in single bytes far beyond its end."""
NAMES = 2**40
TAKEN = (errno.EACCES, errno.EAGAIN)
LONGEST_PAUSE = 2.0
PATIENCE = 3600.0
"""Seconds without progress after which a process is waited for no longer. The lock of a node that
died may stay for long (NFS 3), and a process may hang."""
# A process has one turn at a time, and none while it waits: so no two wait for each other.
_has_turn = False
_warned: set[Path] = set()


@dataclass(frozen=True)
class Turn:
    """A turn at some work.

    Attributes:
        folder: That of the lock file.
        place: The byte that is locked; the next one is for the processes that wait.
        alone: Whether no other process is known to do the same work.
        file: The opened lock file, None if this process locks nothing.
    """

    folder: Path
    place: int
    alone: bool
    file: int | None

    def is_awaited(self) -> bool:
        """Whether another process waits for this turn to end."""
        if self.file is not None:
            return _is_locked(self.file, self.place + 1)
        with _opened(self.folder) as file:
            return file is not None and _is_locked(file, self.place + 1)


@contextmanager
def turn(folder: Path, name: str, what: str, progress: Callable[[], object]) -> Iterator[Turn]:
    """Wait for one's turn at some work, and have others wait meanwhile.

    A process that already has a turn gets further ones at once, without a lock.

    Args:
        folder: A folder that all who may do the work share.
        name: That of the work, unique in the folder.
        what: What another job does meanwhile, for the log: "is computing these rows".
        progress: Something that changes as the other job makes progress.
    """
    global _has_turn
    place = 2 * (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % NAMES)
    if _has_turn:
        yield Turn(folder, place, False, None)
        return
    # Closing the file ends the lock.
    with _opened(folder) as file:
        alone = True
        if file is not None:
            try:
                alone = _waited_for(file, place, what, progress)
            except OSError as error:
                _warn(folder, error)
        _has_turn = True
        try:
            yield Turn(folder, place, alone, file)
        finally:
            _has_turn = False


def parent_has_turn() -> None:
    """Note that this process shares the turn of its parent, as long as it lives."""
    global _has_turn
    _has_turn = True


def _waited_for(file: int, place: int, what: str, progress: Callable[[], object]) -> bool:
    """Wait for a lock; whether it was acquired. Raises OSError where there are no locks."""
    if _locked(file, place, fcntl.LOCK_EX):
        return True
    logger.info("another job %s; waiting for it", what)
    # A cluster's time limit may come meanwhile; the other job is then further along.
    work_was_kept()
    _locked(file, place + 1, fcntl.LOCK_SH)
    seen, since, pause = progress(), time.monotonic(), 0.1
    while not (acquired := _locked(file, place, fcntl.LOCK_EX)):
        if (now := progress()) != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            logger.warning("it has made no progress for %.0f s; waiting no longer", PATIENCE)
            break
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    fcntl.lockf(file, fcntl.LOCK_UN, 1, place + 1)
    return acquired


def _locked(file: int, place: int, kind: int) -> bool:
    """Lock a byte, unless another process has. Raises OSError where there are no locks."""
    try:
        fcntl.lockf(file, kind | fcntl.LOCK_NB, 1, place)
    except OSError as error:
        if error.errno in TAKEN:
            return False
        raise
    return True


def _is_locked(file: int, place: int) -> bool:
    """Whether another process has locked a byte."""
    with suppress(OSError):
        if not _locked(file, place, fcntl.LOCK_EX):
            return True
        fcntl.lockf(file, fcntl.LOCK_UN, 1, place)
    return False


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """The opened lock file of a folder, None if it cannot be opened."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        _warn(folder, error)
        yield None
        return
    try:
        with suppress(OSError):
            # Whoever may write in the folder may lock, whatever the umask of who came first.
            os.fchmod(file, folder.stat().st_mode & 0o666)
        yield file
    finally:
        os.close(file)


def _warn(folder: Path, error: OSError) -> None:
    if folder not in _warned:
        logger.warning(
            "%s: nothing can be locked here (%s); jobs at the same work do it twice",
            folder,
            error.strerror,
        )
    _warned.add(folder)
