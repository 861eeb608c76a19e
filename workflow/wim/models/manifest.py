"""The manifest of a model's folder: what the model came from, its files, and its identity."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wim.display.json_files import write_json
from wim.errors import UserError
from wim.provenance.digest import digest_file, digest_of

NAME = "manifest.json"
# Files of a checkpoint that say how it came about or what was measured, and a folder that nothing
# here opens, as its weights are merged: they decide no answer.
EVALUATION = "evaluation.json"
RECORDS = (NAME, "trainer_state.json", "provenance.json", EVALUATION)
ADAPTER = "adapter"
CHECKPOINT_SUFFIXES = {".safetensors", ".json", ".jinja", ".txt", ".model"}


@dataclass(frozen=True)
class Manifest:
    """What a model's folder holds and came from; `digest` is its identity in all tables.

    `files` maps the files that make the model, by relative POSIX name, to their SHA-256 (64 hex
    digits): of a checkpoint those that decide its answers, and neither its records nor `adapter/`;
    `digest` is the digest of that mapping. `revision` is the hub's commit or the wheel's version.
    An endpoint has one file, endpoint.json, which says which model is queried and not where.
    """

    source: str
    revision: str | None
    source_sha256: str
    files: dict[str, str]
    digest: str


def write_manifest(
    folder: Path,
    source: str,
    names: Sequence[str] | None = None,
    revision: str | None = "",
    source_sha256: str = "",
) -> None:
    """Write a folder's manifest.json.

    Args:
        folder: The model's folder.
        source: Where the model comes from.
        names: The files that make the model, relative to the folder; by default those that decide
            a checkpoint's answers.
        revision: The hub's commit or the wheel's version of the source.
        source_sha256: The digest of the source.
    """
    chosen = checkpoint_files(folder) if names is None else names
    files = {name: digest_file(folder / name) for name in chosen}
    manifest = Manifest(source, revision, source_sha256, files, digest_of(files))
    write_json(folder / NAME, asdict(manifest))


def checkpoint_files(folder: Path) -> list[str]:
    """Names of the files that decide a checkpoint's answers: weights, configuration, tokenizer."""
    names = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in CHECKPOINT_SUFFIXES
    ]
    return sorted(
        name.as_posix()
        for name in names
        if name.parts[0] != ADAPTER and name.as_posix() not in RECORDS
    )


def read_manifest(path: Path) -> Manifest:
    """Read a model's manifest.json.

    Raises:
        UserError: The file is missing, is not a manifest, or contradicts itself.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        manifest = TypeAdapter(Manifest).validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path}: no manifest of a staged model here ({error.strerror}); expected the "
            f"manifest.json that staging writes. {remedy(path)}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"]) or "the file"
        raise UserError(
            f"{path}: not the manifest of a staged model: {where}: {first['msg']}. {remedy(path)}"
        ) from None
    if manifest.digest != digest_of(manifest.files):
        raise UserError(
            f"{path}: found the digest {manifest.digest}, but its files have "
            f"{digest_of(manifest.files)}: the file was edited. {remedy(path)}"
        )
    return manifest


def remedy(manifest: Path) -> str:
    """What to do about a model's folder that is not as its manifest says."""
    return f"Delete {manifest.parent} and run again, which makes the model anew."
