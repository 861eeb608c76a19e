"""The seal of a table: SHA-256 digests by which any change of its file is noticed.

They are the 64 bytes before the footer of the Parquet file, where its readers do not look: the
digest of all that is before them, and that of this digest with the footer. Parquet's own checksums
are of the pages' content alone, not of their headers nor of the footer.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from wim.atomic import file_marks

BLOCK = 2**20
DIGEST = 32
TAIL = 8  # Of a Parquet file: the footer's length, and PAR1.
MAGIC = b"PAR1"
# The marks of files that this process has found whole.
_whole: dict[Path, list[int]] = {}


class Damaged(Exception):
    """A file is not as it was written; the message says what is wrong."""


def seal(path: Path) -> None:
    """Seal a Parquet file that has no seal."""
    with path.open("r+b") as file:
        end, footer = _footer(file, 0)
        above = _digest_of_start(file, end)
        file.seek(end)
        file.write(above + hashlib.sha256(above + footer).digest() + footer)


def check_footer(path: Path) -> None:
    """Raise Damaged unless a file's footer is as it was sealed; the rows are not read."""
    with path.open("rb") as file:
        _sealed(file)


def check_whole(path: Path) -> None:
    """Raise Damaged unless a file is as it was sealed; all of it is read, once per process."""
    marks = file_marks(path)
    if _whole.get(path) == marks:
        return
    with path.open("rb") as file:
        end, above = _sealed(file)
        if _digest_of_start(file, end) != above:
            raise Damaged("its rows are not those that were written")
    _whole[path] = marks


def _sealed(file: BinaryIO) -> tuple[int, bytes]:
    """Where the seal begins, and the digest of what is before; raises Damaged for another footer."""
    start, footer = _footer(file, 2 * DIGEST)
    file.seek(start)
    above, whole = file.read(DIGEST), file.read(DIGEST)
    if hashlib.sha256(above + footer).digest() != whole:
        raise Damaged("it is damaged, or was not written by this version of the workflow")
    return start, above


def _footer(file: BinaryIO, before: int) -> tuple[int, bytes]:
    """Where a footer begins, less some bytes, and the footer with the file's tail."""
    size = file.seek(0, 2)
    file.seek(max(0, size - TAIL))
    tail = file.read(TAIL)
    length = int.from_bytes(tail[:4], "little") + TAIL
    start = size - length - before
    if tail[4:] != MAGIC or start < len(MAGIC):
        raise Damaged("it has no whole footer: the file is cut, or no Parquet file")
    file.seek(size - length)
    return start, file.read(length)


def _digest_of_start(file: BinaryIO, end: int) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    while end > 0 and (block := file.read(min(BLOCK, end))):
        digest.update(block)
        end -= len(block)
    return digest.digest()
