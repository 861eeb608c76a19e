"""What messages and pages tell a person to do about a damaged or missing file works as it is told."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from support.damage import flip
from support.finished import finished_in_two_shards
from support.workflow_runs import Project, jobs_done

SHARD = "results/dialogues/base/001.parquet"
REWARD = "results/rewards/base/wim.parquet"
WEIGHTS = "results/models/tiny/model.safetensors"


@pytest.fixture(scope="module")
def finished(tiny_model: Path, minilm: Path) -> Project:
    return finished_in_two_shards(tiny_model, minilm)


def results(project: Project) -> dict[str, bytes]:
    folder = project.folder / "results"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in (".parquet", ".json", ".jsonl", ".safetensors")
    }


def follow(project: Project, said: str) -> str:
    """Delete the file and run the command that a message names; what that run says."""
    (words,) = set(re.findall(r"`snakemake (-- [^`]*)`", said))
    for name in shlex.split(words)[1:]:
        (project.folder / name).unlink(missing_ok=True)
    return project.run(*shlex.split(words))


def test_a_damaged_table_is_made_again_as_its_message_says(
    finished: Project, tmp_path: Path
) -> None:
    project = finished.again(tmp_path / "project")
    before = results(project)
    flip(project.folder / SHARD)
    (project.folder / REWARD).unlink()
    said = project.run("--", REWARD, status=1)
    assert f"{SHARD}: not a readable Parquet file" in said
    assert jobs_done(follow(project, said)) == {"generate_dialogues": 1}
    project.run("--", REWARD)
    assert project.planned() == {}
    assert results(project) == before


@pytest.mark.parametrize(
    "name", [SHARD, pytest.param("results/prompts/shards/000.parquet", marks=pytest.mark.slow)]
)
def test_a_deleted_shard_is_told_and_made_again(
    finished: Project, tmp_path: Path, name: str
) -> None:
    project = finished.again(tmp_path / "project")
    before = results(project)
    assert "missing, though" not in project.run("-n")
    (project.folder / name).unlink()
    said = project.run()
    if (project.folder / name).exists():
        assert "missing, though" in said
    else:
        assert f"missing, though made before: {name}. Who reads" in said
        follow(project, said)
    assert "missing, though" not in project.run("-n")
    assert project.planned() == {}
    assert results(project) == before


@pytest.mark.slow
def test_a_damaged_model_is_staged_again_as_its_message_says(
    finished: Project, tmp_path: Path
) -> None:
    project = finished.again(tmp_path / "project")
    before = results(project)
    weights = project.folder / WEIGHTS
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content)
    flip(weights)
    (project.folder / SHARD).unlink()
    shutil.rmtree(project.folder / "store/generate_dialogues")
    said = project.run("--", SHARD, status=1)
    assert f"{WEIGHTS}: its SHA-256 is" in said
    assert not list((project.folder / "store/generate_dialogues").glob("*.parquet"))
    (folder,) = re.findall(r"Delete (\S+) and run again", said)
    shutil.rmtree(project.folder / folder)
    project.run("--", SHARD)
    assert project.planned() == {}
    assert results(project) == before
