"""Saved states of a training, by which a killed one resumes.

A state is a folder `checkpoint-<step>` of the training's working folder. It is written elsewhere and
gets this name when it is whole, with a file `complete` that has the SHA-256 of each of its files.
"""

import json
import logging
import shutil
from pathlib import Path

from wim.atomic import synchronise
from wim.provenance.digest import digest_file

logger = logging.getLogger(__name__)

COMPLETE = "complete"
PREFIX = "checkpoint-"
KEPT = 2
"""States that are kept: the newest one may turn out damaged."""


def step_of(state: Path) -> int:
    """The number of steps after which a state was saved."""
    return int(state.name.removeprefix(PREFIX))


def put_state_in_place(written: Path, working: Path) -> None:
    """Mark a state as whole, give it its place in the working folder, and remove former ones.

    All of it is on the disk before the state has its name, so it is not torn whenever a process or
    the machine ends. States of later steps are removed too: they were found damaged.

    Args:
        written: The folder `checkpoint-<step>` that was written.
        working: The training's working folder.
    """
    mark = written / COMPLETE
    files = sorted(path for path in written.rglob("*") if path.is_file() and path != mark)
    digests = {path.relative_to(written).as_posix(): digest_file(path) for path in files}
    mark.write_text(json.dumps(digests), encoding="utf-8")
    for path in (*files, mark, *{path.parent for path in files}, written):
        synchronise(path)
    state = working / written.name
    shutil.rmtree(state, ignore_errors=True)
    try:
        written.rename(state)
    except OSError:
        # Another process at the same training, where the file system has no locks, was quicker.
        if not (state / COMPLETE).exists():
            raise
        shutil.rmtree(written)
    synchronise(working)
    states = _states(working)
    place = states.index(state)
    for former in (*states[:place], *states[place + KEPT :]):
        shutil.rmtree(former, ignore_errors=True)


def last_saved(working: Path) -> Path | None:
    """The newest state that is as it was saved, None if there is none.

    All its files are read. Of a state that is damaged a warning names the folder and what is wrong.
    """
    for state in _states(working):
        problem = _damage(state)
        if problem is None:
            return state
        logger.warning(
            "%s: this saved state is damaged (%s) and is passed over; it can be deleted",
            state,
            problem,
        )
    return None


def _states(working: Path) -> list[Path]:
    """The saved states, the newest first."""
    marks = working.glob(f"{PREFIX}*/{COMPLETE}")
    found = [mark.parent for mark in marks if mark.parent.name.removeprefix(PREFIX).isdecimal()]
    return sorted(found, key=step_of, reverse=True)


def _damage(state: Path) -> str | None:
    """What is not as it was saved, None if all is."""
    try:
        digests = json.loads((state / COMPLETE).read_bytes())
        if not isinstance(digests, dict) or not digests:
            return f"{COMPLETE}: not a list of files with their SHA-256"
        for name, digest in digests.items():
            if digest_file(state / name) != digest:
                return f"{name}: its SHA-256 is not that of {COMPLETE}"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).relative_to(state)}: missing"
    except (OSError, ValueError, RecursionError) as error:
        return f"{error}"
    return None
