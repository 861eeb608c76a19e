"""The folder to open a model from, whose files are those of its manifest."""

import json
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from wim.atomic import file_marks, whole_file
from wim.errors import UserError
from wim.models.manifest import read_manifest, remedy
from wim.models.node_copy import local_copy
from wim.provenance.digest import digest_file

logger = logging.getLogger(__name__)
READERS = 8
# What transformers and peft look for beside the weights, and read if it is there.
OPENED_BY_NAME = {
    *("config.json", "generation_config.json", "adapter_config.json", "chat_template.jinja"),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.json"),
    *("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"),
    *("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"),
}
Verified = Mapping[str, list[object]]
"""Of each file, by its name: its SHA-256, and its size and times when that was computed."""
# What this process has verified, where it cannot be noted down.
_verified: dict[Path, Verified] = {}


def opened_folder(manifest: Path, scratch: str | None = None) -> Path:
    """The folder to open a model from: its own, or its copy on this node.

    Whatever is opened from there is what the manifest names. A file's SHA-256 is computed once, and
    again when its size or times have changed; what was verified is noted in a hidden file beside
    the model's folder, for other jobs.

    Args:
        manifest: The model's manifest.json.
        scratch: See `wim.models.node_copy.local_copy`.

    Raises:
        UserError: The model lacks a file, or has one that is not the manifest's.
    """
    found = local_copy(manifest, scratch)
    if found == manifest:
        _check_files(manifest)
    return found.parent


def _check_files(manifest: Path) -> None:
    noted = manifest.parent.with_name(f".{manifest.parent.name}.verified")
    before = _noted(noted)
    files = read_manifest(manifest).files
    _check_nothing_added(manifest, files)
    # The marks are older than the digests, so that a change meanwhile is seen the next time.
    now: Verified = {name: [sha256, *_marks(manifest, name)] for name, sha256 in files.items()}
    changed = [name for name in files if now[name] != before.get(name)]
    if not changed:
        return
    logger.debug("%s: computing the SHA-256 of %d files", manifest.parent, len(changed))
    with ThreadPoolExecutor(min(READERS, os.cpu_count() or 1)) as readers:
        digests = readers.map(lambda name: _digest(manifest, name), changed)
        for name, digest in zip(changed, digests, strict=True):
            if digest != files[name]:
                raise UserError(
                    f"{manifest.parent / name}: its SHA-256 is {digest}, but {manifest} names "
                    f"{files[name]}: the file is damaged, or was edited. {remedy(manifest)}"
                )
    _verified[noted] = now
    # A folder that nobody may write is verified by every job.
    with suppress(OSError, UserError), whole_file(noted) as partial:
        partial.write_text(json.dumps(now), encoding="utf-8")


def _check_nothing_added(manifest: Path, files: Mapping[str, str]) -> None:
    """Raise UserError for a file that libraries would open with the model, and that is not named."""
    for name in sorted(OPENED_BY_NAME - files.keys()):
        if os.path.lexists(manifest.parent / name):
            raise UserError(
                f"{manifest.parent / name}: {manifest} does not name this file, and the model would "
                f"be opened with it. Delete it. {remedy(manifest)}"
            )


def _noted(noted: Path) -> Verified:
    """What was verified before, nothing where that cannot be read."""
    if noted in _verified:
        return _verified[noted]
    try:
        found = json.loads(noted.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _marks(manifest: Path, name: str) -> list[int]:
    try:
        return file_marks(manifest.parent / name)
    except OSError as error:
        raise _unreadable(manifest, name, error) from None


def _digest(manifest: Path, name: str) -> str:
    try:
        return digest_file(manifest.parent / name)
    except OSError as error:
        raise _unreadable(manifest, name, error) from None


def _unreadable(manifest: Path, name: str, error: OSError) -> UserError:
    return UserError(
        f"{manifest.parent / name}: cannot be read ({error.strerror}), but {manifest} names it. "
        f"{remedy(manifest)}"
    )
