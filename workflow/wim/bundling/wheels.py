"""The wheels of the workflow's environment, fetched for this Python and machine."""

import os
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from wim.bundling.unpack import BLOCK, TIME, this_machine
from wim.errors import UserError
from wim.fetch.hub import failure_of

CONSTRAINTS = "constraints.txt"
# manylinux_2_28_x86_64, and the names of former kinds.
NEEDED_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_")
FORMER = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


def fetch_wheels(
    project: Path, folder: Path, extras: Sequence[str] = (), given: Path | None = None
) -> None:
    """Fill a folder with the wheels of the workflow's dependencies, at their pinned versions.

    What comes as source alone is built, always to the same bytes. pip and what builds the
    workflow's own package are among them.

    Args:
        project: The workflow's folder, with pyproject.toml and constraints.txt.
        folder: Where to put them.
        extras: Names under optional-dependencies of pyproject.toml, such as comet.
        given: Where wheels are taken from, instead of from PyPI.

    Raises:
        UserError: An extra is unknown, or pip does not find a wheel.
    """
    wanted = requirements(project, extras)
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--wheel-dir", str(folder)]
    options += ["--constraint", str(project / CONSTRAINTS)]
    if given is not None:
        options += ["--no-index", "--find-links", str(given)]
    error = failure_of(
        [sys.executable, "-m", "pip", "wheel", *options, "--", *wanted],
        {**os.environ, "SOURCE_DATE_EPOCH": str(TIME)},
    )
    if error:
        place = f"the wheels in {given}" if given else "the wheels"
        raise UserError(
            f"wim bundle: pip could not collect {place}:\n{error}\n"
            "Make the bundle where PyPI can be reached, or name a folder of wheels by --wheels."
        )


def requirements(project: Path, extras: Sequence[str] = ()) -> list[str]:
    """What pyproject.toml requires, with pip and what builds the package."""
    with (project / "pyproject.toml").open("rb") as file:
        read = tomllib.load(file)
    optional = read["project"].get("optional-dependencies", {})
    for extra in extras:
        if extra not in optional:
            raise UserError(
                f"--extra: found '{extra}'; write one of pyproject.toml's: {', '.join(optional)}."
            )
    further = (each for extra in extras for each in optional[extra])
    return [*read["project"]["dependencies"], *further, *read["build-system"]["requires"], "pip"]


def made_for(wheels: Iterable[Path]) -> dict[str, str]:
    """The machines that take these wheels: this Python, and the newest glibc that one needs."""
    here = this_machine()
    built = [int(part) for part in here["glibc"].split(".")[:2] if part.isdecimal()]
    needed = max((_glibc_of(path.name, tuple(built)) for path in wheels), default=())
    return {**here, "glibc": ".".join(map(str, needed)) if here["glibc"] else ""}


def _glibc_of(wheel: str, here: tuple[int, ...]) -> tuple[int, ...]:
    """The oldest glibc that a wheel is for; one that was built here is for this one's."""
    from packaging.utils import parse_wheel_filename

    found: list[tuple[int, ...]] = []
    for tag in parse_wheel_filename(wheel)[3]:
        numbers = NEEDED_GLIBC.match(tag.platform)
        former = FORMER.get(tag.platform.partition("_")[0])
        if tag.platform == "any":
            return ()
        found.append(tuple(map(int, numbers.groups())) if numbers else former or here)
    return min(found)


def installed_bytes(wheels: Iterable[Path]) -> int:
    """What the wheels take once they are installed, about."""
    total = 0
    for path in wheels:
        with zipfile.ZipFile(path) as wheel:
            total += sum(entry.file_size + BLOCK for entry in wheel.infolist())
    return total
