"""Models as folders that from_pretrained opens, with a manifest of what is in them."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from wim.errors import UserError
from wim.models.adapters import adapter_sha256, fetch_adapter, merge_adapter
from wim.models.files import all_files, model_files
from wim.models.gguf import convert_gguf
from wim.models.sources import Fetched, fetch
from wim.provenance.digest import digest_file, digest_of
from wim.settings.models import ENDPOINT, ApiSettings, ModelSource

ENDPOINT_FILE = "endpoint.json"


@dataclass(frozen=True)
class Manifest:
    """What a staged model is and came from; `digest` is its identity in all tables.

    `files` maps the folder's files, by relative POSIX name, to their SHA-256 (64 hex digits);
    `digest` is the digest of that mapping. `revision` is the hub's commit or the wheel's version.
    An endpoint has one file, endpoint.json, which says what is asked and not where.
    """

    source: str
    revision: str | None
    source_sha256: str
    files: dict[str, str]
    digest: str


def stage_model(settings: ModelSource, folder: Path) -> None:
    """Put the model that the settings name into `folder`, with its manifest.json.

    The folder appears whole or not at all, in the place of one that is there already, and the
    same source always gives the same bytes. A GGUF file is dequantised to float32 safetensors. An
    adapter is merged into the weights.
    Of an endpoint nothing is fetched: the folder says by which name, revision and fields it is asked.

    Raises UserError for a source that cannot be had, that has another digest than the settings
    ask for, or that has no safetensors or GGUF weights.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.partial."
    # Beside the folder and so on its filesystem, where a rename is one step.
    with TemporaryDirectory(prefix=prefix, dir=folder.parent) as temporary:
        scratch, staged = Path(temporary), Path(temporary, "staged")
        endpoint = settings.engine == "endpoint"
        fetched = _described(settings, scratch) if endpoint else fetch(settings.source, scratch)
        source_sha256 = fetched.sha256()
        _check_sha256(settings, source_sha256)
        staged.mkdir()
        _fill(staged, fetched, scratch, settings)
        source = settings.source
        if settings.adapter is not None:
            adapter = fetch_adapter(settings.adapter)
            source_sha256 = digest_of([source_sha256, adapter_sha256(adapter)])
            source = f"{source} + {settings.adapter}"
            merge_adapter(staged, adapter, settings.adapter)
        files = {name: digest_file(staged / name) for name in all_files(staged)}
        manifest = Manifest(source, fetched.revision, source_sha256, files, digest_of(files))
        _write_json(staged / "manifest.json", asdict(manifest))
        if folder.exists():
            # A folder that has files in it cannot be renamed over.
            folder.rename(scratch / "replaced")
        staged.rename(folder)


def read_manifest(path: Path) -> Manifest:
    """Read a staged model's manifest.json.

    Raises UserError for a file that is missing, is not a manifest, or contradicts itself.
    """
    from pydantic import TypeAdapter, ValidationError

    remedy = f"Delete {path.parent} and run again, which stages the model anew."
    try:
        manifest = TypeAdapter(Manifest).validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path}: no manifest of a staged model here ({error.strerror}); expected the "
            f"manifest.json that staging writes. {remedy}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"]) or "the file"
        raise UserError(
            f"{path}: not the manifest of a staged model: {where}: {first['msg']}. {remedy}"
        ) from None
    if manifest.digest != digest_of(manifest.files):
        raise UserError(
            f"{path}: found the digest {manifest.digest}, but its files have "
            f"{digest_of(manifest.files)}: the file was edited. {remedy}"
        )
    return manifest


def _check_sha256(settings: ModelSource, found: str) -> None:
    if settings.sha256 is not None and settings.sha256 != found:
        raise UserError(
            f"{settings.source}: the source is not the one that was asked for.\n"
            f"expected sha256: {settings.sha256}\n"
            f"found sha256:    {found}\n"
            "If what was found is what you want, write the found value as this model's sha256; "
            "otherwise correct the source."
        )


def _fill(staged: Path, fetched: Fetched, scratch: Path, settings: ModelSource) -> None:
    """Write the model's files: converted from a GGUF file, or copied from a folder."""
    if fetched.path.is_file():
        convert_gguf(fetched.path, staged, scratch, settings.source)
        return
    # The user's own files are copied and not linked: a link would change when they do.
    put = shutil.move if fetched.path.is_relative_to(scratch) else shutil.copyfile
    endpoint = settings.engine == "endpoint"
    for name in fetched.files if endpoint else model_files(fetched.path, settings.source):
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        put(fetched.path / name, staged / name)


def _described(settings: ModelSource, scratch: Path) -> Fetched:
    """A folder with what an endpoint is: its address is not, which may change as a server moves."""
    parts = ENDPOINT.fullmatch(settings.source)
    assert parts is not None
    folder = scratch / "endpoint"
    folder.mkdir()
    request = (settings.api or ApiSettings()).request
    _write_json(folder / ENDPOINT_FILE, {**parts.groupdict(), "request": request})
    return Fetched(folder, parts["revision"], (ENDPOINT_FILE,))


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    text = json.dumps(content, sort_keys=True, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")
