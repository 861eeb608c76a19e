"""Models as folders that from_pretrained opens, with a manifest of what is in them."""

import shutil
from datetime import date
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from wim.atomic import naming_what_has_no_room, whole_folder
from wim.cluster.locks import turn
from wim.display.json_files import write_json
from wim.errors import UserError
from wim.fetch.folders import file_names
from wim.models.adapters import adapter_sha256, fetch_adapter, merge_adapter
from wim.models.chat_template import write_chat_template
from wim.models.files import check_opens, loadable_files
from wim.models.gguf import convert_gguf
from wim.models.manifest import write_manifest
from wim.models.sources import Fetched, fetch
from wim.provenance.digest import digest_of
from wim.settings.models import ENDPOINT, ApiSettings, ModelSource

ENDPOINT_FILE = "endpoint.json"


def stage_model(settings: ModelSource, folder: Path) -> None:
    """Put the model that the settings name into `folder`, with its manifest.json.

    The folder appears whole or not at all and replaces one that is there already; the same source
    always gives the same bytes. A GGUF file is dequantised to float32 safetensors, an adapter is
    merged into the weights, and a chat template has no clock. Nothing is fetched of an endpoint: the folder records the name, the
    revision and the fields by which it is queried.

    Raises:
        UserError: The source cannot be fetched, has another digest than the settings expect, or has
            no safetensors or GGUF weights.
    """
    with turn(
        *(folder.parent, f"stage {folder.name}", f"is staging {folder}"),
        lambda: [(path.name, path.stat().st_size) for path in _leftovers(folder)],
    ) as mine:
        if mine.alone and mine.file is not None:
            # Of stagings that were killed: a running one would have the turn.
            for left in _leftovers(folder):
                shutil.rmtree(left, ignore_errors=True)
        with naming_what_has_no_room(folder):
            _stage(settings, folder)


def _leftovers(folder: Path) -> list[Path]:
    """What stagings of a folder have not finished, or not yet."""
    return [
        path
        for kind in ("download.*", "partial")
        for path in folder.parent.glob(f".{escape(folder.name)}.{kind}")
    ]


def _stage(settings: ModelSource, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Downloads are beside the folder and so on its file system, where moving them is one step.
    downloads = TemporaryDirectory(prefix=f".{folder.name}.download.", dir=folder.parent)
    with downloads as temporary, whole_folder(folder) as staged:
        scratch = Path(temporary)
        endpoint = settings.engine == "endpoint"
        fetched = _described(settings, scratch) if endpoint else fetch(settings.source, scratch)
        source_sha256 = fetched.sha256()
        _check_sha256(settings, source_sha256)
        _fill(staged, fetched, scratch, settings)
        source = settings.source
        if settings.adapter is not None:
            adapter = fetch_adapter(settings.adapter)
            source_sha256 = digest_of([source_sha256, adapter_sha256(adapter)])
            source = f"{source} + {settings.adapter}"
            merge_adapter(staged, adapter, settings.adapter)
        if not endpoint:
            given = Path(settings.chat_template) if settings.chat_template else None
            write_chat_template(staged, given, date.fromisoformat(settings.date), source)
        write_manifest(staged, source, file_names(staged), fetched.revision, source_sha256)


def _check_sha256(settings: ModelSource, found: str) -> None:
    if settings.sha256 is not None and settings.sha256 != found:
        raise UserError(
            f"{settings.source}: the source is not the one that is configured.\n"
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
    for name in fetched.files if endpoint else loadable_files(fetched.path, settings.source):
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        put(fetched.path / name, staged / name)
    if settings.engine == "local":
        check_opens(staged, settings.source)


def _described(settings: ModelSource, scratch: Path) -> Fetched:
    """A folder with an endpoint's identity, without its address, which may change."""
    parts = ENDPOINT.fullmatch(settings.source)
    assert parts is not None
    folder = scratch / "endpoint"
    folder.mkdir()
    request = (settings.api or ApiSettings()).request
    write_json(folder / ENDPOINT_FILE, {**parts.groupdict(), "request": request})
    return Fetched(folder, parts["revision"], (ENDPOINT_FILE,))
