"""Copies of staged models on a node's own disk, opened in place of the shared ones."""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wim.atomic import file_marks
from wim.errors import UserError
from wim.models.manifest import Manifest, read_manifest, remedy
from wim.provenance.digest import digest_file

logger = logging.getLogger(__name__)
HEADROOM = 2**30  # Bytes that a copy leaves free.
BLOCK = 2**20
MARK = ".copied.json"
VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")  # As os.path.expandvars sees them.


class _NotHere(Exception):
    """Why there can be no copy on this node."""


def local_copy(manifest: Path, scratch: str | None) -> Path:
    """The manifest.json beside which to open a staged model: that of a copy on this node.

    The model's files are copied once per node and user, and checked against the manifest while they
    are copied; other jobs of the node wait for it. A copy counts only as long as its files are
    unchanged, by their sizes and times. If there can be no copy, a warning says why, and the
    returned manifest is the one given.

    Args:
        manifest: The staged model's manifest.json.
        scratch: A folder on the node's own disk, with ~ and environment variables as the user wrote
            them; None for no copy.

    Raises:
        UserError: The model lacks a file, or has one that is not the manifest's.
    """
    if scratch is None:
        return manifest
    try:
        return _copied(manifest, _own_folder(scratch))
    except (OSError, _NotHere) as error:
        logger.warning(
            "local_scratch: %s: %s; opening the model from %s", scratch, error, manifest.parent
        )
        return manifest


def _own_folder(scratch: str) -> Path:
    """The user's own folder in the scratch, where nobody else can have put anything."""
    for name in (found.strip("{}") for found in VARIABLE.findall(scratch)):
        if not os.environ.get(name):
            raise _NotHere(f"{name} is not set on this node")
    try:
        folder = Path(os.path.expandvars(scratch)).expanduser()
    except RuntimeError as error:
        raise _NotHere(str(error)) from None
    if not folder.is_absolute():
        raise _NotHere(f"'{folder}' is not an absolute path")
    own = folder / f"wim-{os.getuid()}"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = own.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise _NotHere(f"{own} is not a folder of your own")
    return own


def _copied(manifest: Path, folder: Path) -> Path:
    """The manifest of the copy, which is made if there is no complete one."""
    model = read_manifest(manifest)
    # Not `model.digest`: the copy's manifest is the given one to the byte, its source included.
    copy = folder / digest_file(manifest)
    with _alone(folder / f"{copy.name}.lock"):
        if _is_whole(copy):
            logger.info("local_scratch: the model's copy in %s is used again", copy)
        else:
            _make(copy, manifest, model)
    return copy / manifest.name


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process of this node in at a time; the lock ends with its process in any case."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("local_scratch: another job is at the model's copy; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_whole(copy: Path) -> bool:
    """Whether a copy's files are unchanged since they were copied."""
    if not copy.exists():
        return False
    try:
        whole = bool(json.loads((copy / MARK).read_bytes()) == _marks(copy))
    except (OSError, ValueError):
        whole = False
    if not whole:
        logger.warning("local_scratch: the model's copy in %s was altered; copying it anew", copy)
    return whole


def _marks(folder: Path) -> dict[str, list[int]]:
    """Size and times of every file."""
    return {
        path.relative_to(folder).as_posix(): file_marks(path)
        for path in folder.rglob("*")
        if path.name != MARK and not path.is_dir()
    }


def _make(copy: Path, manifest: Path, model: Manifest) -> None:
    """Copy and check the model's files. The folder gets its name when it is complete."""
    partial = copy.with_name(f"{copy.name}.partial")
    for left in (partial, copy):
        shutil.rmtree(left, ignore_errors=True)
    size = sum(_size(manifest, name) for name in model.files)
    free = shutil.disk_usage(copy.parent).free
    if size + HEADROOM > free:
        raise _NotHere(
            f"the model takes {size / 1e9:.2f} GB and {HEADROOM / 1e9:.2f} GB are to stay free, "
            f"but only {free / 1e9:.2f} GB are"
        )
    start = time.monotonic()
    try:
        for name, sha256 in model.files.items():
            _copy_file(manifest, name, sha256, partial)
        shutil.copyfile(manifest, partial / manifest.name)
        (partial / MARK).write_text(json.dumps(_marks(partial)), encoding="utf-8")
        partial.rename(copy)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    seconds = time.monotonic() - start
    logger.info(
        "local_scratch: the model of %s copied to %s: %d files, %.1f MB in %.2f s (%.0f MB/s)",
        manifest.parent,
        copy,
        len(model.files),
        size / 1e6,
        seconds,
        size / 1e6 / seconds,
    )


def _size(manifest: Path, name: str) -> int:
    try:
        return (manifest.parent / name).stat().st_size
    except FileNotFoundError:
        raise UserError(
            f"{manifest.parent / name}: missing, but {manifest} names it. {remedy(manifest)}"
        ) from None


def _copy_file(manifest: Path, name: str, sha256: str, folder: Path) -> None:
    source, target = manifest.parent / name, folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb", buffering=0) as read, target.open("xb", buffering=0) as written:
        while block := read.read(BLOCK):
            digest.update(block)
            written.write(block)
    if digest.hexdigest() == sha256:
        return
    if (found := digest_file(source)) != sha256:
        raise UserError(
            f"{source}: its SHA-256 is {found}, but {manifest} names {sha256}: the file was "
            f"altered after staging. {remedy(manifest)}"
        )
    raise _NotHere(f"{source} did not arrive as it is")
