"""Folders that take a while to make, made once and kept in .cache for all processes and later runs."""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from support.workflow_runs import REPOSITORY

KEPT = REPOSITORY / ".cache" / "tests"
SECONDS_UNUSED = 86_400


def kept_once(name: str, identity: Sequence[str], make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, for everything that decides its content.

    Whoever comes first makes it, and others wait. Former ones are removed once no test run has
    asked for them for a day.
    """
    digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]
    folder, used = KEPT / f"{name}-{digest}", KEPT / f"{name}-{digest}.used"
    KEPT.mkdir(parents=True, exist_ok=True)
    with FileLock(KEPT / f"{name}.lock"):
        if not used.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
        used.touch()
        for other in KEPT.glob(f"{name}-*.used"):
            if time.time() - other.stat().st_mtime > SECONDS_UNUSED:
                other.unlink()
                shutil.rmtree(other.with_suffix(""), ignore_errors=True)
    return folder
