"""Archives as sources: unpacked entry by entry, since what is in them was written by others."""

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from wim.errors import UserError
from wim.fetch.folders import is_inside

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
SUFFIXES = (".zip", *TAR_SUFFIXES)
BLOCK = 4096  # Bytes that even an empty file takes.
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError),
    *(NotImplementedError, ValueError, OSError),
)


@dataclass(frozen=True)
class _Entry:
    """What an archive says of one entry. `kind`: a file, a folder, or in words what else."""

    name: str
    size: int
    kind: str
    open: Callable[[], IO[bytes]]

    @property
    def hidden(self) -> bool:
        """Whether it is what desktops and version control leave beside the content."""
        parts = PurePosixPath(self.name).parts
        return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def is_archive(path: Path) -> bool:
    """Whether a path is a file whose name is that of an archive which can be unpacked."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def unpack(archive: Path, folder: Path, source: str) -> None:
    """Unpack an archive's files into a folder, which is made; hidden entries are left out.

    source: what an error begins with. Raises UserError for a file that is no whole archive, and,
    before anything is written, for one with entries that are encrypted, are no files or folders,
    lead out of the folder or stand there twice, or that has more bytes than are free there.
    """
    folder.mkdir(parents=True)
    try:
        with _entries(archive) as entries:
            _check(entries, source)
            files = [entry for entry in entries if entry.kind == "file" and not entry.hidden]
            _check_space(files, folder, source)
            for entry in files:
                target = folder / entry.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with entry.open() as packed, target.open("xb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
    except BROKEN as error:
        # What follows is what tarfile has tried in vain.
        reason = str(error).partition(":\n")[0]
        raise UserError(
            f"{source}: cannot be unpacked ({reason}); fetch it again, or unpack it yourself and "
            "write the path of what comes out."
        ) from None


@contextmanager
def _entries(archive: Path) -> Iterator[Sequence[_Entry]]:
    if archive.name.lower().endswith(TAR_SUFFIXES):
        with tarfile.open(archive) as tar:
            yield [_tar_entry(tar, member) for member in tar]
    else:
        with zipfile.ZipFile(archive) as opened:
            yield [_zip_entry(opened, info) for info in opened.infolist()]


def _tar_entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> _Entry:
    def contents() -> IO[bytes]:
        file = tar.extractfile(member)
        assert file is not None  # It is one only for what is no file.
        return file

    kind = "a device or a pipe"
    if member.isfile():
        kind = "file"
    elif member.isdir():
        kind = "folder"
    elif member.issym() or member.islnk():
        kind = "a link"
    return _Entry(member.name, member.size, kind, contents)


def _zip_entry(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Entry:
    mode = info.external_attr >> 16
    kind = "folder" if info.is_dir() else "file"
    if stat.S_ISLNK(mode):
        kind = "a link"
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "a device or a pipe"
    elif info.flag_bits & 1:
        kind = "encrypted"
    return _Entry(info.filename, info.file_size, kind, lambda: opened.open(info))


def _check(entries: Sequence[_Entry], source: str) -> None:
    """Raises UserError for entries that must not be written, or not where they say."""
    seen: set[PurePosixPath] = set()
    for entry in entries:
        if entry.kind not in ("file", "folder"):
            raise UserError(
                f"{source}: its entry '{entry.name}' is {entry.kind}; expected plain files and "
                "folders alone. Unpack it yourself where you trust it, and write the path of what "
                "comes out."
            )
        if not is_inside(entry.name):
            raise UserError(
                f"{source}: its entry '{entry.name}' leads out of the folder it is unpacked into. "
                "Do not use this archive."
            )
        path = PurePosixPath(entry.name)
        if entry.kind == "file" and path in seen:
            raise UserError(f"{source}: has two entries '{entry.name}'; pack it anew.")
        seen.add(path)
    if not any(entry.kind == "file" and not entry.hidden for entry in entries):
        raise UserError(f"{source}: has no files in it.")


def _check_space(files: Sequence[_Entry], folder: Path, source: str) -> None:
    size = sum(max(entry.size, 0) + BLOCK for entry in files)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{source}: its {len(files)} files take {size / 1e9:.2f} GB unpacked, and {folder} has "
            f"{free / 1e9:.2f} GB free; make room there."
        )
