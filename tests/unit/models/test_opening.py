"""A model is opened only as its manifest names it, by whatever opens it."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.builders import candidate, pair, rating, user, write_pairs
from support.damage import flip, random_bits
from support.staged_model import WEIGHTS, stage_three_files
from support.workflow_runs import REPOSITORY
from wim.embedding.embed import embed_critiques
from wim.engines.base import Request
from wim.engines.reward_model_engine import Conversation
from wim.engines.staged import StagedModel
from wim.engines.stored import open_engine
from wim.engines.stored_scores import open_scorer
from wim.engines.turn_format import Turn
from wim.errors import UserError
from wim.models import opening
from wim.models.manifest import read_manifest, write_manifest
from wim.models.opening import opened_folder
from wim.provenance.digest import digest_of
from wim.settings.models import ModelSource
from wim.settings.reward_models import RewardModelSettings
from wim.settings.sampling import Sampling
from wim.settings.training import TrainingSettings
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES, RATINGS
from wim.training.dpo.train import train_dpo
from wim.training.reward_model import train_reward_model
from wim.training.run.setup import Run


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The manifest of a staged model of three files (1 MB)."""
    return stage_three_files(tmp_path, 2**18)


def another_process() -> None:
    """Forget what this process has verified."""
    opening._verified.clear()


def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files as they are hashed."""
    names: list[str] = []
    digest = opening.digest_file

    def noted(path: Path) -> str:
        names.append(path.name)
        return digest(path)

    monkeypatch.setattr(opening, "digest_file", noted)
    return names


def test_no_flipped_bit_goes_unnoticed_whatever_the_files_times(manifest: Path) -> None:
    folder = opened_folder(manifest)
    files = [folder / name for name in read_manifest(manifest).files]
    # The weights have nearly all of the bytes.
    for file, bit in random_bits(files, 40) + random_bits(files[:2], 10):
        flip(file, bit, quietly=True)
        another_process()
        with pytest.raises(UserError, match="damaged") as refused:
            opened_folder(manifest)
        assert str(file) in str(refused.value)
        flip(file, bit)
        assert opened_folder(manifest) == folder


def test_a_file_is_hashed_once_and_again_when_it_has_changed(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = hashed(monkeypatch)
    opened_folder(manifest)
    assert sorted(names) == ["config.json", WEIGHTS, "tools.jinja"]
    another_process()
    opened_folder(manifest)
    assert len(names) == 3
    os.utime(manifest.parent / WEIGHTS)
    opened_folder(manifest)
    assert names[3:] == [WEIGHTS]


def test_what_was_verified_is_no_part_of_the_model(manifest: Path) -> None:
    before = sorted(manifest.parent.rglob("*"))
    opened_folder(manifest)
    assert sorted(manifest.parent.rglob("*")) == before
    digest = read_manifest(manifest).digest
    write_manifest(manifest.parent, "again")
    assert read_manifest(manifest).digest == digest


def test_a_model_of_other_files_in_its_place_is_verified_anew(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_folder(manifest)
    names = hashed(monkeypatch)
    told = json.loads(manifest.read_bytes())
    told["files"]["config.json"] = "0" * 64
    told["digest"] = digest_of(told["files"])
    manifest.write_text(json.dumps(told))
    with pytest.raises(UserError, match=r"config\.json: its SHA-256 is"):
        opened_folder(manifest)
    assert names == ["config.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"config.json": 3}', "{"])
def test_a_damaged_note_has_all_hashed_again(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    opened_folder(manifest)
    another_process()
    (manifest.parent.parent / ".own.verified").write_text(content)
    names = hashed(monkeypatch)
    opened_folder(manifest)
    assert len(names) == 3


def test_where_nothing_can_be_noted_each_process_hashes_once(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("wim.atomic.Path.replace", read_only)
    names = hashed(monkeypatch)
    for _ in range(2):
        opened_folder(manifest)
    assert len(names) == 3
    another_process()
    flip(manifest.parent / WEIGHTS)
    with pytest.raises(UserError, match=WEIGHTS):
        opened_folder(manifest)


def test_many_jobs_at_once_all_see_the_damage(manifest: Path) -> None:
    flip(manifest.parent / WEIGHTS)

    def refused(_: int) -> bool:
        with pytest.raises(UserError, match=WEIGHTS):
            opened_folder(manifest)
        return True

    with ThreadPoolExecutor(8) as jobs:
        assert all(jobs.map(refused, range(16)))


def test_a_missing_file_and_what_to_do_are_named(manifest: Path) -> None:
    (manifest.parent / WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: cannot be read .*Delete .*own and"):
        opened_folder(manifest)


def tiny(tiny_model: Path, folder: Path, name: str = "tiny") -> Path:
    """The manifest of a copy of the tiny model, one bit of whose weights is another."""
    shutil.copytree(tiny_model, folder / name)
    write_manifest(folder / name, "tiny")
    flip(folder / name / WEIGHTS)
    return folder / name / "manifest.json"


def staged(manifest: Path, folder: Path, **further: object) -> StagedModel:
    source = {"source": f"path:{manifest.parent}", **further}
    return StagedModel(
        manifest=manifest,
        source=ModelSource.model_validate(source),
        store=folder / "store",
        server_log=folder / "server.log",
    )


def generates(manifest: Path, folder: Path) -> None:
    with open_engine(staged(manifest, folder, dtype="float32")) as engine:
        list(engine.generate([Request("a", tuple(user("Hi!")), 0)], Sampling(max_new_tokens=4)))


def serves(manifest: Path, folder: Path) -> None:
    stub = [sys.executable, str(REPOSITORY / "tests/support/stub_server.py")]
    model = staged(manifest, folder, serve=f"{shlex.join(stub)} {{model}} {{port}}")
    with open_engine(model) as engine:
        list(engine.generate([Request("a", tuple(user("Hi!")), 0)], Sampling(max_new_tokens=4)))


def scores(manifest: Path, folder: Path) -> None:
    with open_scorer(staged(manifest, folder)) as scorer:
        list(scorer.scores([Conversation(tuple(user("Hi!")), Turn("Hello."))]))


def embeds(manifest: Path, folder: Path) -> None:
    write_table(folder / "d.parquet", DIALOGUES, as_arrow(DIALOGUES, [candidate()]))
    write_table(folder / "r.parquet", RATINGS, as_arrow(RATINGS, [rating(judge="tiny")]))
    embed_critiques(
        dialogues=folder / "d.parquet",
        ratings=folder / "r.parquet",
        manifest=manifest,
        judge="tiny",
        store=folder / "store",
        output=folder / "embeddings.parquet",
    )


def run_of(manifest: Path, folder: Path) -> Run:
    return Run(manifest, 0, 4, folder / "store", 300, folder / "checkpoint")


def written_pairs(folder: Path) -> Path:
    rows = [pair(prompt_id=f"{n}", prompt=user(f"{n}?"), split="train") for n in range(4)]
    return write_pairs(folder / "pairs.parquet", rows)


def aligns(manifest: Path, folder: Path, reference: Path | None = None) -> None:
    settings = TrainingSettings(batch_size=4, precision="float32")
    names = {"arm": "x", "round": 1, "reward": "r"}
    run = run_of(manifest, folder)
    train_dpo(written_pairs(folder), settings, names, {}, run, reference)


def refers(manifest: Path, folder: Path) -> None:
    base = folder / "base"
    shutil.copytree(manifest.parent, base)
    write_manifest(base, "base")
    aligns(base / "manifest.json", folder, reference=manifest)


def learns_a_reward(manifest: Path, folder: Path) -> None:
    settings = {"arm": "x", "batch_size": 4, "precision": "float32"}
    train_reward_model(
        pairs=written_pairs(folder),
        settings=RewardModelSettings.model_validate(settings),
        name="one",
        upstream_settings={},
        run=run_of(manifest, folder),
    )


def carries_forward(manifest: Path, folder: Path) -> None:
    (manifest.parent / "provenance.json").write_text("{}")
    (manifest.parent / "README.md").write_text("# Card\n")
    verdict = folder / "verdict.json"
    verdict.write_text(json.dumps({"stop": True, "reason": "enough"}))
    names = {"arm": "x", "round": 2, "reward": "r"}
    run = run_of(manifest, folder)
    settings = TrainingSettings()
    train_dpo(folder / "none", settings, names, {}, run, verdicts=[verdict])


@pytest.mark.parametrize(
    "opens",
    [
        *(generates, serves, scores, embeds),
        *(aligns, refers, learns_a_reward, carries_forward),
    ],
)
def test_who_opens_a_damaged_model_says_which_file_and_makes_nothing(
    tiny_model: Path, tmp_path: Path, opens: Callable[[Path, Path], None]
) -> None:
    manifest = tiny(tiny_model, tmp_path)
    with pytest.raises(UserError, match=f"{manifest.parent / WEIGHTS}: its SHA-256 is"):
        opens(manifest, tmp_path)
    assert not list(tmp_path.glob("store/**/*.parquet"))
    assert not (tmp_path / "checkpoint").exists()


def test_the_copy_on_a_node_is_opened_where_there_is_one(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    assert opened_folder(manifest, str(tmp_path / "node")).is_relative_to(tmp_path / "node")
    assert opened_folder(manifest, "/dev/null/none") == manifest.parent
    flip(manifest.parent / WEIGHTS)
    with pytest.raises(UserError, match=WEIGHTS):
        opened_folder(manifest, "/dev/null/none")


def test_a_copy_is_made_nowhere_but_where_a_model_is_opened() -> None:
    sources = (REPOSITORY / "workflow").rglob("*.py")
    copying = {path.name for path in sources if "local_copy(" in path.read_text("utf-8")}
    assert copying == {"node_copy.py", "opening.py"}


@pytest.mark.parametrize(
    "name", ["generation_config.json", "chat_template.jinja", "adapter_config.json"]
)
def test_a_file_that_would_be_opened_and_was_not_staged_is_refused(
    manifest: Path, name: str
) -> None:
    opened_folder(manifest)
    (manifest.parent / "notes.txt").write_text("what one likes")
    assert opened_folder(manifest) == manifest.parent
    (manifest.parent / name).write_text("{}")
    with pytest.raises(UserError, match=name):
        opened_folder(manifest)
