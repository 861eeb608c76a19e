"""The identity of a model: its files, and not how it came about."""

import json
from pathlib import Path

from wim.models.manifest import write_manifest
from wim.provenance.digest import digest_file


def test_a_checkpoints_identity_is_what_decides_its_answers(tmp_path: Path) -> None:
    def digest() -> str:
        write_manifest(tmp_path, "arm wim, round 1")
        return str(json.loads((tmp_path / "manifest.json").read_text())["digest"])

    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    first = digest()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["files"]["model.safetensors"] == digest_file(tmp_path / "model.safetensors")
    (tmp_path / "adapter").mkdir()
    for name in (
        *("trainer_state.json", "provenance.json", "evaluation.json"),
        *("adapter/adapter_config.json", "adapter/adapter_model.safetensors"),
    ):
        (tmp_path / name).write_text('{"host": "a"}')
    assert digest() == first, "what decides no answer, or the manifest written before, counts"
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert digest() != first
