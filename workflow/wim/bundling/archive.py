"""A bundle's archive: its list, then every file once; the same files give the same bytes."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from wim.atomic import whole_file
from wim.bundling import unpack
from wim.bundling.unpack import FORM, LIST, SCRIPT, TIME
from wim.errors import UserError
from wim.provenance.digest import digest_file

MAY_EXECUTE = 0o111


@dataclass(frozen=True)
class Packed:
    """An archive that was written: how many files, their bytes, and the digest of its list."""

    files: int
    size: int
    digest: str


def write_archive(
    output: Path,
    files: Mapping[str, Path],
    made_for: Mapping[str, str],
    facts: Mapping[str, Any],
) -> Packed:
    """Write an archive, whole or not at all. Links are followed, and equal files packed once.

    Args:
        output: The file.
        files: Where each file is, by its path in the bundle.
        made_for: The machines that take its wheels.
        facts: What else its list says.

    Raises:
        UserError: A file cannot be read or changes meanwhile, or there is no room.
    """
    listed = {name: _entry(path) for name, path in sorted(files.items())}
    values = {"form": FORM, "made_for": dict(made_for), **facts, "files": listed}
    text = (json.dumps(values, indent=1, sort_keys=True) + "\n").encode()
    seen: set[str] = set()
    script = Path(unpack.__file__).read_bytes()
    with (
        whole_file(output) as partial,
        tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, SCRIPT, io.BytesIO(script), len(script))
        _add(tar, LIST, io.BytesIO(text), len(text))
        for name, entry in listed.items():
            if entry["sha256"] not in seen:
                seen.add(entry["sha256"])
                _add_file(tar, name, files[name], entry)
    return Packed(len(listed), output.stat().st_size, unpack.Listing(text, output).digest)


def _entry(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
        return {
            "size": status.st_size,
            "sha256": digest_file(path),
            "executable": bool(status.st_mode & MAY_EXECUTE),
        }
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from None


def _add_file(tar: tarfile.TarFile, name: str, path: Path, entry: Mapping[str, Any]) -> None:
    with path.open("rb") as file:
        read = _Read(file)
        try:
            _add(tar, name, read, entry["size"], entry["executable"])
        except OSError as error:
            # tarfile's own word for a file that is shorter by now has no number.
            if error.errno is not None:
                raise
            raise _changed(path) from None
        if read.sha256.hexdigest() != entry["sha256"]:
            raise _changed(path)


class _Read:
    """A file that knows the digest of what was read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        part = self.file.read(size)
        self.sha256.update(part)
        return part


def _changed(path: Path) -> UserError:
    return UserError(f"{path}: was changed while it was packed; run `wim bundle` again.")


def _add(
    tar: tarfile.TarFile,
    name: str,
    source: "io.BytesIO | _Read",
    size: int,
    executable: bool = False,
) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = size, TIME
    member.mode = 0o755 if executable else 0o644
    tar.addfile(member, cast("IO[bytes]", source))
