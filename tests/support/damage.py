"""Damage to files, as a disk or a network does it: silently."""

import os
import random
from pathlib import Path


def flip(file: Path, place: int | None = None, quietly: bool = False) -> None:
    """Flip one bit of a file.

    Args:
        file: The file.
        place: Which bit, by default one in the middle.
        quietly: Whether the file keeps its time of modification.
    """
    before = file.stat()
    place = 8 * (before.st_size // 2) + 2 if place is None else place
    with file.open("r+b") as opened:
        opened.seek(place // 8)
        (byte,) = opened.read(1)
        opened.seek(place // 8)
        opened.write(bytes([byte ^ 1 << place % 8]))
    if quietly:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def random_bits(files: list[Path], count: int, seed: int = 0) -> list[tuple[Path, int]]:
    """Bits of some files, each byte as likely as any other: (file, place)."""
    draw = random.Random(seed)
    sizes = [file.stat().st_size for file in files]
    chosen = draw.choices(files, weights=sizes, k=count)
    return [(file, draw.randrange(8 * file.stat().st_size)) for file in chosen]
