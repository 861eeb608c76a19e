"""`wim push` uploads what a person names, to where it may, and never shows the token."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hub_server import HubServer
from wim.models.manifest import write_manifest
from wim.provenance.digest import digest_file

TOKEN = "hf_abcdefghijklmnop"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(TOKEN, "someone") as server:
        yield server


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint's folder with two large files."""
    folder = tmp_path / "results/checkpoints/wim/round1"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    for name in ("a", "b"):
        (folder / f"{name}.safetensors").write_bytes(name.encode() * 1000)
    (folder / "README.md").write_text("---\nlibrary_name: transformers\n---\n# A checkpoint\n")
    (folder / ".hidden").write_text("not for others")
    write_manifest(folder, "training")
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A data set's folder."""
    folder = tmp_path / "dataset"
    (folder / "pairs").mkdir(parents=True)
    (folder / "pairs/train.parquet").write_bytes(b"PAR1")
    (folder / "README.md").write_text('---\nlicense: "cc-by-4.0"\n---\n# Pairs\n')
    listed = {
        "contentUrl": "pairs/train.parquet",
        "sha256": digest_file(folder / "pairs/train.parquet"),
    }
    (folder / "croissant.json").write_text(json.dumps({"distribution": [listed]}))
    return folder


def pushed(
    hub: HubServer,
    folder: Path,
    repository: str,
    *options: str,
    token: str = TOKEN,
    status: int = 0,
) -> str:
    """Run `wim push`, without storage that the stand-in does not have; what it printed."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_TOKEN": token}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-m", "wim.cli", "push", str(folder), repository, *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == status, printed
    assert "Traceback" not in printed
    assert not token or token not in printed
    return printed


def test_a_checkpoint_becomes_a_private_model(hub: HubServer, checkpoint: Path) -> None:
    printed = pushed(hub, checkpoint, "someone/wim", "--yes")
    assert f"{hub.url}/someone/wim" in printed
    assert "No licence is stated" in printed
    made = hub.repositories["someone/wim"]
    assert (made.kind, made.private) == ("model", True)
    names = {"config.json", "a.safetensors", "b.safetensors", "README.md", "manifest.json"}
    assert set(made.files) == names
    assert all(made.files[name] == (checkpoint / name).read_bytes() for name in names)


def test_a_data_set_becomes_a_data_set_and_public_only_when_that_is_said(
    hub: HubServer, dataset: Path
) -> None:
    printed = pushed(hub, dataset, "someone/pairs", "--yes", "--public")
    assert "No licence" not in printed
    made = hub.repositories["someone/pairs"]
    assert (made.kind, made.private) == ("dataset", False)
    assert made.files["pairs/train.parquet"] == b"PAR1"
    refused = pushed(hub, dataset, "someone/pairs", "--yes", status=1)
    assert "everyone can see it; add --public" in refused


def test_without_a_yes_or_in_a_dry_run_nothing_is_sent(hub: HubServer, checkpoint: Path) -> None:
    assert "nobody to ask; add --yes" in pushed(hub, checkpoint, "someone/wim", status=1)
    printed = pushed(hub, checkpoint, "someone/wim", "--dry-run", token="")
    assert "Nothing was uploaded" in printed
    assert "b.safetensors" in printed
    assert not hub.repositories


def test_an_upload_that_was_stopped_sends_only_what_is_missing(
    hub: HubServer, checkpoint: Path
) -> None:
    (checkpoint / "c.safetensors").write_bytes(b"c" * 1000)
    write_manifest(checkpoint, "training")
    hub.fail_uploads = 1
    printed = pushed(hub, checkpoint, "someone/wim", "--yes", status=1)
    assert "Error while uploading '" in printed
    sent = len(hub.uploads)
    pushed(hub, checkpoint, "someone/wim", "--yes")
    assert sent < 3
    assert sorted(hub.uploads) == sorted(set(hub.uploads))
    assert set(hub.repositories["someone/wim"].files) >= {f"{name}.safetensors" for name in "abc"}


@pytest.mark.parametrize(
    ("repository", "token", "said"),
    [
        ("someone/wim", "hf_wrong", "does not take the token"),
        ("another/wim", TOKEN, "The token may not write to another"),
        ("someone/wim", "", "HF_TOKEN has no token"),
        ("no-owner", TOKEN, "write <owner>/<name>"),
    ],
)
def test_a_refusal_says_what_to_do(
    hub: HubServer, checkpoint: Path, repository: str, token: str, said: str
) -> None:
    assert said in pushed(hub, checkpoint, repository, "--yes", token=token, status=1)
    assert not hub.repositories


def test_a_hub_that_is_not_there_is_said(hub: HubServer, checkpoint: Path) -> None:
    hub.url = "http://127.0.0.1:9"
    printed = pushed(hub, checkpoint, "someone/wim", "--yes", status=1)
    assert "Run the same command again" in printed


def test_what_is_damaged_or_something_else_is_not_uploaded(
    hub: HubServer, checkpoint: Path, dataset: Path, tmp_path: Path
) -> None:
    (checkpoint / "a.safetensors").write_bytes(b"other")
    assert "a.safetensors: its SHA-256 is" in pushed(
        hub, checkpoint, "someone/x", "--yes", status=1
    )
    (dataset / "pairs/train.parquet").unlink()
    assert "train.parquet: not the file" in pushed(hub, dataset, "someone/x", "--yes", status=1)
    assert "neither a data set nor" in pushed(hub, tmp_path, "someone/x", "--yes", status=1)
