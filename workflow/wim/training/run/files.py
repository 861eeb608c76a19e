"""What every trainer needs: precision, steps, metrics without clocks, and whole-or-nothing folders."""

import json
import logging
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
# Figures of the machine and the hour, which are no property of the checkpoint.
CLOCKED = ("runtime", "per_second", "total_flos")
# Files of a checkpoint that say how it came about, not what it is.
NOT_WEIGHTS = ("manifest.json", "trainer_state.json", "provenance.json")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into that takes the place of `folder` only when all went well."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _make_readable(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _make_readable(folder: Path) -> None:
    """Give files the rights of any new file: safetensors writes them for their owner alone."""
    probe = folder / ".rights"
    probe.touch()
    rights = probe.stat().st_mode
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(rights)


def unclocked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics without those that depend on the clock; numbers that are not finite become null."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
        if not any(word in key for word in CLOCKED)
    }


def write_json(path: Path, value: object) -> None:
    """A JSON value, its keys in order."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_manifest(folder: Path, source: str) -> None:
    """manifest.json of a checkpoint: its files with their SHA-256, and one digest of all."""
    from wim.provenance.digest import digest_file, digest_of

    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in {".safetensors", ".json", ".jinja", ".txt", ".model"}
    )
    model_files = [name for name in names if name not in NOT_WEIGHTS]
    files = {name: digest_file(folder / name) for name in model_files}
    manifest = {
        "source": source,
        "revision": "",
        "source_sha256": "",
        "files": files,
        "digest": digest_of(files),
    }
    (folder / "manifest.json").write_text(
        json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
