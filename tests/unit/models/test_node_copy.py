"""Models copied to a node's own disk: once, whole or not at all, and no different for it."""

import fcntl
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.builders import candidate, pair, rating, write_pairs
from support.code_caches import forget_code
from support.staged_model import WEIGHTS, stage_three_files
from support.workflow_runs import Project
from wim.embedding.embed import embed_critiques
from wim.embedding.encoder import encoder_code
from wim.engines import stored
from wim.errors import UserError
from wim.models import node_copy as scratch
from wim.models.manifest import read_manifest
from wim.models.node_copy import local_copy
from wim.models.stage import stage_model
from wim.provenance.digest import digest_file
from wim.settings.models import ModelSource
from wim.settings.training import TrainingSettings
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES, RATINGS
from wim.training.dpo import train as dpo
from wim.training.run.setup import Run

COPIED = re.compile(r"copied to .*: 3 files, \d+\.\d MB in \d+\.\d\d s \(\d+ MB/s\)")
MESSAGES = [{"role": "user", "content": "Why does it rain?"}]


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="wim.models.node_copy")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The manifest of a staged model of three files, one of them in a folder (8 MB)."""
    return stage_three_files(tmp_path, 2**21)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The node's own disk."""
    (tmp_path / "node").mkdir()
    return tmp_path / "node"


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of a folder's files, without the copy's own mark."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != scratch.MARK
    }


def own(node: Path) -> Path:
    return node / f"wim-{os.getuid()}"


def left_on(node: Path) -> list[str]:
    """Names on the node's disk, without locks."""
    return [path.name for path in own(node).iterdir() if path.suffix != ".lock"]


def in_a_process(code: str, manifest: Path, node: Path) -> "subprocess.Popen[str]":
    """A process that copies the model, after some code, and prints what is logged."""
    program = (
        "import logging, os, sys, signal; from pathlib import Path; from wim.models import node_copy as scratch\n"
        "logging.basicConfig(level=logging.INFO, stream=sys.stdout, format='%(message)s')\n"
        f"{code}\n"
        "print(scratch.local_copy(Path(sys.argv[1]), sys.argv[2]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(manifest), str(node)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def refused_here(manifest: Path, place: str, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """The shared model is opened, and one warning says why and which."""
    assert local_copy(manifest, place) == manifest
    (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert reason in warning.getMessage()
    assert warning.getMessage().endswith(f"opening the model from {manifest.parent}")


def test_without_a_scratch_the_model_is_opened_where_it_lies(manifest: Path) -> None:
    assert local_copy(manifest, None) == manifest


def test_a_copy_is_the_model_to_the_byte_and_its_rate_is_logged(
    manifest: Path, node: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = local_copy(manifest, str(node))
    assert copy.is_relative_to(node)
    assert contents(copy.parent) == contents(manifest.parent)
    assert read_manifest(copy) == read_manifest(manifest)
    assert COPIED.search(caplog.text)
    assert str(copy.parent) in caplog.text


def test_a_copy_is_used_again_and_says_so(
    manifest: Path, node: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = local_copy(manifest, str(node)).stat()
    caplog.clear()
    assert local_copy(manifest, str(node)).stat() == before
    assert "used again" in caplog.text and "copied" not in caplog.text


def test_another_model_has_a_copy_of_its_own(manifest: Path, node: Path) -> None:
    first = local_copy(manifest, str(node))
    (manifest.parent / "config.json").write_text('{"other": 1}')
    other = manifest.parents[1] / "other"
    stage_model(ModelSource(source=f"path:{manifest.parent}"), other)
    second = local_copy(other / "manifest.json", str(node))
    assert contents(second.parent) == contents(other)
    assert contents(first.parent) != contents(second.parent)


def test_jobs_of_one_node_that_start_at_once_copy_once(manifest: Path, node: Path) -> None:
    ready = "print('ready', flush=True); sys.stdin.readline()"
    jobs = [in_a_process(ready, manifest, node) for _ in range(3)]
    for job in jobs:
        assert job.stdout is not None and job.stdout.readline() == "ready\n"
    for job in jobs:
        assert job.stdin is not None
        job.stdin.write("go\n")
        job.stdin.flush()
    said = [job.communicate(timeout=300)[0] for job in jobs]
    assert sum(" copied to " in text for text in said) == 1
    assert sum("used again" in text for text in said) == 2
    assert len({text.splitlines()[-1] for text in said}) == 1


def test_a_job_waits_for_the_one_that_copies(
    manifest: Path, node: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = own(node) / f"{digest_file(manifest)}.lock"
    lock.parent.mkdir()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        job = threading.Thread(target=local_copy, args=(manifest, str(node)))
        job.start()
        while "waiting for it" not in caplog.text:
            assert job.is_alive()
            time.sleep(0.01)
        assert left_on(node) == []
    job.join(timeout=300)
    assert left_on(node) == [digest_file(manifest)]


def test_a_killed_copy_is_not_taken_for_complete(
    manifest: Path, node: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed = """
whole = scratch._copy_file
def copy_and_die(*arguments):
    whole(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
scratch._copy_file = copy_and_die
"""
    assert in_a_process(killed, manifest, node).wait(timeout=300) == -9
    assert left_on(node) == [f"{digest_file(manifest)}.partial"]
    copy = local_copy(manifest, str(node))
    assert contents(copy.parent) == contents(manifest.parent)
    assert COPIED.search(caplog.text)
    assert left_on(node) == [copy.parent.name]


def change_a_byte(copy: Path) -> None:
    """Change the weights and give them their former time, as soon as the clock has moved on."""
    weights = copy / WEIGHTS
    before = weights.stat()
    probe = copy.parent / "probe.lock"
    while probe.touch() or probe.stat().st_ctime_ns == before.st_ctime_ns:
        time.sleep(0.001)
    with weights.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights.stat().st_size == before.st_size


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(change_a_byte, id="a byte, under the former time"),
        pytest.param(lambda copy: os.truncate(copy / WEIGHTS, 99), id="cut"),
        pytest.param(lambda copy: (copy / "config.json").unlink(), id="a file removed"),
        pytest.param(lambda copy: (copy / "adapter_config.json").write_text("{}"), id="added"),
        pytest.param(lambda copy: (copy / scratch.MARK).unlink(), id="the mark removed"),
        pytest.param(lambda copy: (copy / scratch.MARK).write_text("{"), id="the mark cut"),
    ],
)
def test_an_altered_copy_is_made_anew(
    manifest: Path, node: Path, caplog: pytest.LogCaptureFixture, alter: object
) -> None:
    copy = local_copy(manifest, str(node)).parent
    alter(copy)  # type: ignore[operator]
    caplog.clear()
    assert local_copy(manifest, str(node)).parent == copy
    assert contents(copy) == contents(manifest.parent)
    assert "was altered" in caplog.text
    assert COPIED.search(caplog.text)


def test_an_altered_source_is_refused_by_its_name(manifest: Path, node: Path) -> None:
    weights = manifest.parent / WEIGHTS
    with weights.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    with pytest.raises(UserError) as refused:
        local_copy(manifest, str(node))
    for part in (str(weights), digest_file(weights), "altered after staging", "Delete"):
        assert part in str(refused.value)
    assert left_on(node) == []


def test_a_source_that_lacks_a_file_is_refused_by_its_name(manifest: Path, node: Path) -> None:
    (manifest.parent / "config.json").unlink()
    with pytest.raises(UserError, match=r"own/config\.json: missing"):
        local_copy(manifest, str(node))


def test_too_little_space_falls_back_with_a_warning(
    manifest: Path,
    node: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = sum(map(len, contents(manifest.parent).values()))
    free = SimpleNamespace(total=2**40, used=0, free=scratch.HEADROOM + size // 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    reason = "the model takes 0.01 GB and 1.07 GB are to stay free, but only 1.08 GB are"
    refused_here(manifest, str(node), caplog, reason)
    assert left_on(node) == []


def test_a_disk_that_stops_taking_bytes_falls_back_and_is_left_clean(
    manifest: Path, node: Path
) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))"
    said = in_a_process(limited, manifest, node).communicate(timeout=300)[0].splitlines()
    assert "File too large" in said[0] and "opening the model from" in said[0]
    assert said[1] == str(manifest)
    assert left_on(node) == []


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize(
    "place", ["$WIM_NODE_DISK", "${WIM_NODE_DISK}/models", "/tmp/${WIM_NODE_DISK-x}"]
)
def test_an_undefined_variable_falls_back_with_a_warning(
    manifest: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    value: str | None,
) -> None:
    monkeypatch.delenv("WIM_NODE_DISK", raising=False)
    if value is not None:
        monkeypatch.setenv("WIM_NODE_DISK", value)
    refused_here(manifest, place, caplog, "is not set on this node")


def test_variables_and_the_tilde_are_those_of_the_job(
    manifest: Path, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIM_NODE_DISK", str(node))
    monkeypatch.setenv("HOME", str(node / "home"))
    assert own(node / "of-job") in local_copy(manifest, "$WIM_NODE_DISK/of-job").parents
    assert own(node / "home/models") in local_copy(manifest, "~/models").parents


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("models", "'models' is not an absolute path"),
        ("~nobody-of-that-name/models", "home directory"),
        ("/dev/null/models", "Not a directory"),
    ],
)
def test_a_place_that_cannot_be_falls_back_with_a_warning(
    manifest: Path, caplog: pytest.LogCaptureFixture, place: str, reason: str
) -> None:
    refused_here(manifest, place, caplog, reason)


def test_a_link_in_the_place_of_ones_own_folder_is_not_followed(
    manifest: Path, node: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").mkdir()
    own(node).symlink_to(tmp_path / "elsewhere")
    refused_here(manifest, str(node), caplog, "not a folder of your own")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_someone_else_is_not_used(
    manifest: Path, node: Path, caplog: pytest.LogCaptureFixture
) -> None:
    local_copy(manifest, str(node))
    os.chown(own(node), 12345, 12345)
    refused_here(manifest, str(node), caplog, "not a folder of your own")


def test_nobody_else_may_look_into_ones_own_folder(manifest: Path, node: Path) -> None:
    local_copy(manifest, str(node))
    assert own(node).stat().st_mode & 0o077 == 0


def test_the_code_of_copying_decides_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def codes() -> list[object]:
        forget_code()
        return [stored.engine_codes(), encoder_code(), dpo.dpo_code()]

    before, read = codes(), Path.read_text

    def edited(path: Path, *arguments: str, **named: str) -> str:
        text = read(path, *arguments, **named)
        return f"{text}\nEDITED = 1\n" if path.name in ("node_copy.py", "opening.py") else text

    monkeypatch.setattr(Path, "read_text", edited)
    assert codes() == before


def test_an_encoder_opened_from_a_copy_gives_the_same_table(
    minilm: Path, node: Path, tmp_path: Path
) -> None:
    write_table(tmp_path / "d.parquet", DIALOGUES, as_arrow(DIALOGUES, [candidate()]))
    write_table(tmp_path / "r.parquet", RATINGS, as_arrow(RATINGS, [rating(judge="tiny")]))
    for name, place in {"shared": None, "copy": str(node)}.items():
        embed_critiques(
            dialogues=tmp_path / "d.parquet",
            ratings=tmp_path / "r.parquet",
            manifest=minilm / "manifest.json",
            judge="tiny",
            store=tmp_path / f"store-{name}",
            output=tmp_path / f"{name}.parquet",
            scratch=place,
        )
    assert (tmp_path / "copy.parquet").read_bytes() == (tmp_path / "shared.parquet").read_bytes()
    assert left_on(node) == [digest_file(minilm / "manifest.json")]


@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_a_checkpoint_does_not_tell_where_its_base_was_opened(
    tiny_model: Path, node: Path, tmp_path: Path, lora: dict[str, int] | None
) -> None:
    stage_model(ModelSource(source=f"path:{tiny_model}"), tmp_path / "tiny")
    row = pair(prompt=MESSAGES, chosen="Of clouds.", rejected="Of stones.")
    write_pairs(tmp_path / "pairs.parquet", [row])
    settings = {"batch_size": 1, "lora": lora, "precision": "float32"}
    for name, place in {"shared": None, "copy": str(node)}.items():
        dpo.train_dpo(
            pairs=tmp_path / "pairs.parquet",
            settings=TrainingSettings.model_validate(settings),
            names={"arm": "wim", "round": 1, "reward": "wim"},
            upstream_settings={},
            run=Run(
                manifest=tmp_path / "tiny/manifest.json",
                seed=0,
                per_device=1,
                store=tmp_path / f"store-{name}",
                save_seconds=300,
                folder=tmp_path / name,
                scratch=place,
            ),
        )
    assert contents(tmp_path / "copy") == contents(tmp_path / "shared")
    assert left_on(node) == [digest_file(tmp_path / "tiny/manifest.json")]


def test_a_run_with_a_scratch_gives_the_same_tables_and_switching_it_on_reruns_nothing(
    tiny_model: Path, tmp_path: Path, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: dict[str, object] = {
        "models": {"tiny": {"source": f"path:{tiny_model}", "dtype": "float32"}},
        "prompts": {"files": ["prompts.jsonl"], "shards": 2},
        "dialogues": {"actor": "tiny", "sampling": {"max_new_tokens": 8}},
    }
    prompts = ["Name a river.", "How is bread made?", "Why does it rain?", "Who wrote it?"]
    shared = Project.copied(tmp_path / "shared", config, prompts)
    shared.run("--", "dialogues")
    monkeypatch.setenv("WIM_NODE_DISK", str(node))
    placed = {**config, "local_scratch": "$WIM_NODE_DISK"}
    local = Project.copied(tmp_path / "local", placed, prompts)
    local.run("--", "dialogues")
    tables = contents(local.folder / "results/dialogues")
    assert len(tables) == 2
    assert tables == contents(shared.folder / "results/dialogues")
    logs = (local.folder / "logs/generate_dialogues/base").glob("*.log")
    said = "\n".join(log.read_text() for log in logs)
    assert said.count(" copied to ") == said.count("used again") == 1

    shared.set("local_scratch", "$WIM_NODE_DISK")
    assert shared.planned("--", "dialogues") == {}

    # Rows that the store knows need no model, and so no copy of it.
    shutil.rmtree(own(node))
    shutil.rmtree(shared.folder / "results/dialogues")
    shared.run("--", "dialogues")
    assert contents(shared.folder / "results/dialogues") == tables
    assert not own(node).exists()
