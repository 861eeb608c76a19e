"""Whole-or-not-at-all writes: a file or folder appears under its name only when it is complete."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wim.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What libraries report that do not pass the system's error on.
FULL_IN_WORDS = (
    *("no space left", "quota exceeded", "file too large"),
    *("file write failed", "failed writing file"),
)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which replaces `path` if the block ends well.

    The folder of `path` is created. If the block fails, `path` stays as it was and what was
    written is removed. Raises UserError, naming `path`, if there is no room for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    try:
        with naming_what_has_no_room(path):
            yield partial
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def naming_what_has_no_room(path: Path) -> Iterator[None]:
    """Turn a full disk into a UserError that names what could not be written."""
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(
            f"{path}: cannot be written ({reason}); make room on its disk, and run again."
        ) from error


def is_full(error: Exception) -> bool:
    """Whether an error says that a disk is full, or a quota used up."""
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return any(words in str(error).lower() for words in FULL_IN_WORDS)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder to write into, which replaces `folder` if the block ends well.

    If the block fails, `folder` stays as it was and what was written is removed. What a killed
    process left is removed by the next one, so only one process may write `folder` at a time.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        _make_readable(partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    # Renamed aside, not deleted: it may be a link, or have files that are open elsewhere.
    former = partial.with_name(f".{folder.name}.former")
    _remove(former)
    if os.path.lexists(folder):
        folder.rename(former)
    partial.rename(folder)
    _remove(former)


def _remove(folder: Path) -> None:
    """Remove a folder, or a link to one, as far as that is possible."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def partial_path(path: Path) -> Path:
    """A hidden path beside `path`, and so on its file system, that no other process uses."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")


def put_in_place(partial: Path, path: Path) -> None:
    """Rename a complete file to `path`, so that it survives a crash of the machine."""
    synchronise(partial)
    partial.rename(path)
    synchronise(path.parent)


def synchronise(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_marks(path: Path) -> list[int]:
    """A file's size and times, by which a change is seen.

    The time of the inode's change cannot be set by hand.
    """
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _make_readable(folder: Path) -> None:
    """Give files the permissions of any new file: safetensors writes them for their owner alone."""
    probe = folder / ".permissions"
    probe.touch()
    permissions = probe.stat().st_mode
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(permissions)
