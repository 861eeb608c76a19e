"""Unpack archives, whose content was written by others and is checked before it is written."""

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from wim.errors import UserError
from wim.fetch.folders import is_inside

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
SUFFIXES = (".zip", *TAR_SUFFIXES)
BLOCK = 4096  # Bytes that even an empty file takes.
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    LZMAError,
    EOFError,
    NotImplementedError,
    ValueError,
    OSError,
)


@dataclass(frozen=True)
class _Entry:
    """One entry of an archive; `kind` is "file", "folder", or what else it is, in words."""

    name: str
    size: int
    kind: str
    extract_to: Callable[[Path], object]

    @property
    def hidden(self) -> bool:
        """Whether a desktop or version control left it beside the content."""
        parts = PurePosixPath(self.name).parts
        return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def is_archive(path: Path) -> bool:
    """Whether a path is a file whose name is that of an archive which can be unpacked."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def unpack(archive: Path, folder: Path, source: str) -> None:
    """Unpack an archive's files into a new folder, without hidden entries.

    Args:
        archive: The file.
        folder: Where to unpack; it is created.
        source: What errors begin with.

    Raises:
        UserError: The file is no complete archive. Or, before anything is written: an entry is
            encrypted, neither file nor folder, leads out of the folder or is there twice, or the
            files take more bytes than the disk has free.
    """
    folder.mkdir(parents=True)
    try:
        with _entries(archive) as entries:
            _check(entries, source)
            files = [entry for entry in entries if entry.kind == "file" and not entry.hidden]
            _check_space(files, folder, source)
            for entry in files:
                entry.extract_to(folder)
    except BROKEN as error:
        # The rest lists the formats that tarfile tried.
        reason = str(error).partition(":\n")[0]
        raise UserError(
            f"{source}: cannot be unpacked ({reason}); fetch it again, or unpack it yourself and "
            "write the path of what comes out."
        ) from None


@contextmanager
def _entries(archive: Path) -> Iterator[Sequence[_Entry]]:
    if archive.name.lower().endswith(TAR_SUFFIXES):
        with tarfile.open(archive) as tar:
            extract = partial(tar.extract, set_attrs=False, filter="data")
            yield [
                _Entry(member.name, member.size, _kind_in_tar(member), partial(extract, member))
                for member in tar
            ]
    else:
        with zipfile.ZipFile(archive) as opened:
            yield [
                _Entry(
                    info.filename, info.file_size, _kind_in_zip(info), partial(opened.extract, info)
                )
                for info in opened.infolist()
            ]


def _kind_in_tar(member: tarfile.TarInfo) -> str:
    if member.isfile():
        return "file"
    if member.isdir():
        return "folder"
    return "a link" if member.issym() or member.islnk() else "a device or a pipe"


def _kind_in_zip(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device or a pipe"
    if info.flag_bits & 1:
        return "encrypted"
    return "folder" if info.is_dir() else "file"


def _check(entries: Sequence[_Entry], source: str) -> None:
    """Raise UserError for entries that must not be written, or not under their names."""
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
