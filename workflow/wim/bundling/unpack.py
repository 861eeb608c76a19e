"""Unpack a bundle: check the digest of every file, and make the environment without network.

It needs nothing but Python, and is in the archive itself:

    tar -xf wim-bundle.tar unpack.py
    python3 unpack.py wim-bundle.tar FOLDER
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import IO, Any

FORM = 1
LIST, SCRIPT, WHEELS, ENVIRONMENT = "bundle.json", "unpack.py", "wheels", ".venv"
DONE = ENVIRONMENT + "/installed"
LONGEST_LIST = 256 << 20
CHUNK = 1 << 20
BLOCK = 4096
# All files have one time, so that none is newer than what was made of it.
TIME = 315532800
STAYS = "what is unpacked already stays."
DIGEST = re.compile(r"[0-9a-f]{64}")


class BundleError(Exception):
    """What a person can do something about, in words."""


class Listing:
    """bundle.json: the files of a bundle, and the machines that it is for.

    Attributes:
        digest: SHA-256 of bundle.json, which stands for the whole bundle.
        files: Size, SHA-256 and whether it is executable, by path from the folder.
        made_for: Python, system, machine and C library that the wheels need.
        values: All keys.
    """

    def __init__(self, text: bytes, archive: Path) -> None:
        self.text = text
        self.digest = hashlib.sha256(text).hexdigest()
        try:
            self.values: dict[str, Any] = json.loads(text.decode("utf-8"))
            form = self.values["form"]
            if form == FORM:
                self.made_for: dict[str, str] = dict(self.values["made_for"])
                self.files: dict[str, tuple[int, str, bool]] = {
                    str(path): (int(each["size"]), str(each["sha256"]), bool(each["executable"]))
                    for path, each in self.values["files"].items()
                }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(
                f"{archive}: its {LIST} cannot be read ({error!r}); copy the archive again."
            ) from None
        if form != FORM:
            raise BundleError(
                f"{archive}: found a bundle of form {form!r}, and this is a reader of form {FORM}; "
                f"take the {SCRIPT} that is in the archive."
            )
        for path, (size, sha256, _) in self.files.items():
            if not is_safe(path) or size < 0 or not DIGEST.fullmatch(sha256):
                raise BundleError(
                    f"{archive}: its {LIST} has the entry {path!r}, which is no file inside of the "
                    "folder. Do not use this archive."
                )

    @property
    def run(self) -> str:
        """The run's working directory, from the folder."""
        return str(self.values.get("run", "."))


def is_safe(path: str) -> bool:
    """Whether a path is that of a file inside of the folder, and not of its environment."""
    parts = path.split("/")
    return not (
        any(part in ("", ".", "..") for part in parts)
        or "\\" in path
        or "\0" in path
        or parts[0] == ENVIRONMENT
        or path == LIST
    )


def unpack(archive: Path, folder: Path) -> Listing:
    """Unpack a bundle into a folder and make the environment there; goes on where it was stopped.

    Raises:
        BundleError: The archive is damaged or is none; it is for another Python or machine; the
            folder holds something else, or its disk has no room. What was written stays, and is
            taken over by the next attempt.
    """
    try:
        with tarfile.open(str(archive), "r:") as tar:
            listing = _read_list(tar, archive)
            check_machine(listing.made_for)
            _take_folder(folder, listing, archive)
            _check_room(folder, listing)
            _extract(tar, folder, listing, archive)
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(
            f"{archive}: not a whole archive ({error}); copy it again, and run this again: {STAYS}"
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BundleError(
                f"{error.filename or folder}: cannot be written ({error.strerror}); make room, and "
                f"run this again: {STAYS}"
            ) from None
        if error.filename in (None, str(archive)):
            raise BundleError(f"{archive}: cannot be read: {error.strerror or error}.") from None
        raise
    make_environment(folder, listing)
    return listing


def _read_list(tar: tarfile.TarFile, archive: Path) -> Listing:
    """The list, which follows the script at the archive's beginning."""
    for _ in range(2):
        member = tar.next()
        if member is not None and member.name == LIST and 0 < member.size <= LONGEST_LIST:
            opened = tar.extractfile(member)
            if opened is not None:
                return Listing(opened.read(), archive)
    raise BundleError(f"{archive}: not a bundle: no {LIST} at its beginning.")


def check_machine(made_for: dict[str, str]) -> None:
    """Raise BundleError unless the wheels are for this Python and machine."""
    found = this_machine()
    names = ("implementation", "python", "system", "machine")
    if [made_for.get(name) for name in names] != [found[name] for name in names]:
        raise BundleError(
            "The bundle is for {}; found {}. Start this by python{} on such a machine, or make a "
            "bundle by the same Python and on the same kind of machine as this one.".format(
                in_words(made_for), in_words(found), made_for.get("python", "")
            )
        )
    if _numbers(found["glibc"]) < _numbers(made_for.get("glibc", "")):
        raise BundleError(
            f"The bundle needs glibc {made_for['glibc']} or newer; found "
            f"{found['glibc'] or 'none'}. Make it on a machine as old as this one, or with older "
            "versions in constraints.txt."
        )


def this_machine() -> dict[str, str]:
    """What decides which wheels this Python takes."""
    library, version = platform.libc_ver()
    return {
        "implementation": sys.implementation.name,
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}",
        "system": platform.system().lower(),
        "machine": platform.machine(),
        "glibc": version if library == "glibc" else "",
    }


def in_words(machine: dict[str, str]) -> str:
    """A machine in words."""
    return "{} {} on {} {}".format(
        *tuple(machine.get(name, "?") for name in ("implementation", "python", "system", "machine"))
    )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _take_folder(folder: Path, listing: Listing, archive: Path) -> None:
    """Begin a new folder or continue one of the same bundle; raise BundleError for any other."""
    if (folder / DONE).exists():
        raise BundleError(
            f"{folder}: a bundle was unpacked there already, and may have been worked in since; "
            "write another folder."
        )
    held = folder / LIST
    if held.is_file():
        if held.read_bytes() != listing.text:
            raise BundleError(
                f"{folder}: half unpacked from another bundle than {archive}; write another folder, "
                "or delete this one."
            )
        print(f"{folder}: continuing")
        return
    if os.path.lexists(str(folder)) and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder}: there is something there; write a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    held.with_name(LIST + ".partial").write_bytes(listing.text)
    held.with_name(LIST + ".partial").replace(held)


def _check_room(folder: Path, listing: Listing) -> None:
    there = sum(size for path, (size, _, _) in listing.files.items() if (folder / path).is_file())
    blocks = BLOCK * len(listing.files)
    files = sum(size for size, _, _ in listing.files.values()) - there + blocks
    needed = files + int(listing.values.get("installed_bytes", 0))
    free = shutil.disk_usage(str(folder)).free
    if needed > free:
        raise BundleError(
            f"{folder}: the files and the environment take {needed / 1e9:.2f} GB, and the disk has "
            f"{free / 1e9:.2f} GB free; make room there, or write a folder on another disk."
        )


def _extract(tar: tarfile.TarFile, folder: Path, listing: Listing, archive: Path) -> None:
    """Write the listed files; equal ones are in the archive once."""
    root = folder.resolve()
    by_digest: dict[str, Path] = {}
    for member in tar:
        if member.name in (LIST, SCRIPT) and member.isfile():
            continue
        listed = listing.files.get(member.name)
        if listed is None or not member.isfile() or member.size != listed[0]:
            kind = "" if member.isfile() else " (no plain file)"
            raise BundleError(
                f"{archive}: its entry {member.name!r}{kind} is not as its list says. Do not use "
                "this archive."
            )
        target = folder / member.name
        _check_way(target, root)
        if _digest_of(target) != listed[1]:
            opened = tar.extractfile(member)
            if opened is None or not _write(opened, target, listed):
                raise BundleError(
                    f"{archive}: {member.name} has other bytes than its list says: the archive is "
                    f"damaged. Copy it again, and run this again: {STAYS}"
                )
        by_digest[listed[1]] = target
    for path, listed in listing.files.items():
        target, sha256 = folder / path, listed[1]
        if sha256 not in by_digest:
            raise BundleError(
                f"{archive}: {path} is missing: the archive is cut off. Copy it again, and run this "
                f"again: {STAYS}"
            )
        _check_way(target, root)
        if target != by_digest[sha256] and _digest_of(target) != sha256:
            with by_digest[sha256].open("rb") as source:
                _write(source, target, listed)


def _check_way(target: Path, root: Path) -> None:
    """Raise BundleError where a link in the folder would lead a file out of it."""
    there = target.parent
    while not os.path.lexists(str(there)):
        there = there.parent
    if root != there.resolve() and root not in there.resolve().parents:
        raise BundleError(f"{target}: leads out of {root}; delete that link.")


def _digest_of(path: Path) -> str | None:
    if path.is_symlink() or not path.is_file():
        return None
    found = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            found.update(chunk)
    return found.hexdigest()


def _write(source: IO[bytes], target: Path, listed: tuple[int, str, bool]) -> bool:
    """Write a file if it has its listed digest, whole or not at all; whether it has."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name("." + target.name + ".partial")
    found = hashlib.sha256()
    try:
        with partial.open("wb") as file:
            for chunk in iter(lambda: source.read(CHUNK), b""):
                found.update(chunk)
                file.write(chunk)
        if found.hexdigest() != listed[1]:
            return False
        partial.chmod(0o755 if listed[2] else 0o644)
        os.utime(str(partial), (TIME, TIME))
        partial.replace(target)
        return True
    finally:
        if partial.exists():
            partial.unlink()


def make_environment(folder: Path, listing: Listing) -> None:
    """Install the workflow and its wheels in .venv, which no index and no setting of pip's reaches.

    pip is run from its own wheel, so that Python may be without it. The wheels are deleted when
    they are installed.
    """
    wheels = folder / WHEELS
    found = sorted(wheels.glob("pip-*.whl"))
    if not found:
        raise BundleError(f"{wheels}: has no wheel of pip; make the bundle anew.")
    print(f"{folder / ENVIRONMENT}: installing {len(list(wheels.iterdir()))} wheels", flush=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))
    }
    environment["PIP_CONFIG_FILE"] = os.devnull
    extras = ",".join(listing.values.get("extras", []))
    project = str(folder.resolve()) + (f"[{extras}]" if extras else "")
    python = (folder / ENVIRONMENT / "bin" / "python").absolute()
    _call([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder / ENVIRONMENT)])
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]
    options += ["--no-index", "--find-links", str(wheels.resolve())]
    options += ["--constraint", str((folder / "constraints.txt").resolve())]
    install = [str(python), str(found[0].resolve() / "pip"), "install", *options]
    _call([*install, "pip", "--editable", project], environment)
    shutil.rmtree(str(wheels))
    (folder / DONE).touch()


def _call(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip()
        raise BundleError(
            "The environment could not be made ({}):\n{}\nWhat is unpacked stays; put this right, "
            "and run the same command again.".format(" ".join(command[:4]), said)
        )


def next_steps(folder: Path, listing: Listing) -> str:
    """What a person types next."""
    options = [] if listing.run == "." else ["--directory", listing.run]
    if listing.values.get("configfile"):
        options += ["--configfile", listing.values["configfile"]]
    lines = [f"cd {folder}", f"source {ENVIRONMENT}/bin/activate"]
    lines.append(" ".join(["snakemake", *options, "--dry-run"]))
    commands = "\n".join("    " + line for line in lines)
    count = len(listing.files)
    return f"Unpacked {count} files of the bundle {listing.digest}. Now:\n\n{commands}\n"


def main(arguments: list[str]) -> int:
    """Unpack by itself; the exit status."""
    if len(arguments) != 2 or arguments[0].startswith("-"):
        print(f"usage: python3 {SCRIPT} ARCHIVE FOLDER", file=sys.stderr)
        return 2
    try:
        folder = Path(arguments[1])
        print(next_steps(folder, unpack(Path(arguments[0]), folder)))
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
