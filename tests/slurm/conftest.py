"""A real SLURM for the tests of this folder, and the projects that they run on it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paced import numbered, paced_api, paced_project
from support.slurm_cluster import Cluster, NoSlurm, install
from support.workflow_runs import Project, tiny_config


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of one node and two GPUs. REQUIRE_SLURM=1 makes leaving these tests out a failure."""
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        install()
        cluster.start()
    except NoSlurm as reason:
        cluster.stop()
        if os.environ.get("REQUIRE_SLURM") == "1":
            raise
        pytest.skip(f"no SLURM: {reason}")
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def settings(tiny_model: Path, minilm: Path) -> dict[str, object]:
    """A tiny configuration in float32, in which every row repeats."""
    return tiny_config(
        *(tiny_model, minilm, 24),
        shards=3,
        dialogues={"actor": "tiny", "sampling": {"max_new_tokens": 24, "temperature": 0.7}},
        rewards={"wim": {"judge": "tiny", "zeta": 0.5, "rating": "rating_expected"}},
        arms={"wim": {"reward": "wim", "training": {"batch_size": 4, "precision": "float32"}}},
    )


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, object]) -> Project:
    """The tiny project, run locally from the prompts to the checkpoint."""
    folder = tmp_path_factory.mktemp("local") / "project"
    project = Project.copied(folder, settings, numbered(12))
    project.run("--", "dpo_checkpoint")
    return project


@pytest.fixture(scope="session")
def api() -> Iterator[str]:
    """The address of an API that takes its time."""
    with paced_api() as url:
        yield url


@pytest.fixture(scope="session")
def paced(
    settings: dict[str, object], api: str, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A project whose dialogues take 110 s, more than the shortest limit of time."""
    folder = tmp_path_factory.mktemp("paced") / "project"
    return paced_project(folder, settings, api, numbered(220))


@pytest.fixture(scope="session")
def brief(
    settings: dict[str, object], api: str, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A project whose dialogues take 40 s; a part of them is flushed after 16."""
    folder = tmp_path_factory.mktemp("brief") / "project"
    return paced_project(folder, settings, api, numbered(80))
