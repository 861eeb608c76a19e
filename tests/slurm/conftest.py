"""A real SLURM for the tests of this folder, and the projects that they run on it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.api_server import ApiServer, Fields, Reply, last_message, said
from support.slurm_cluster import PACED_PROMPTS, PROMPTS, Cluster, NoSlurm, install, request
from support.workflow_runs import Project, tiny_config

PACE = 0.25


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
    project = Project.copied(folder, settings, PROMPTS)
    project.run("--", "dpo_checkpoint")
    return project


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, object]) -> Project:
    """A project whose 200 dialogues take a minute or two, one at a time, and are still to be made."""
    folder = tmp_path_factory.mktemp("slow") / "project"
    prompts = [f"Say something about the number {number}." for number in range(100)]
    project = Project.copied(folder, settings, prompts)
    project.set("prompts.shards", 1)
    project.set("dialogues.sampling.max_new_tokens", 200)
    project.run("--until", "shard_prompts", "stage_model")
    request(project, "generate_dialogues", batch_size=1)
    return project


@pytest.fixture(scope="session")
def paced(
    settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A project whose 440 dialogues take 110 s on any machine: an API gives them, one by one."""

    def answer(fields: Fields, _: int) -> Reply:
        time.sleep(PACE)
        return said(f"Of {last_message(fields).split()[-1]} little is known.")

    folder = tmp_path_factory.mktemp("paced") / "project"
    project = Project.copied(folder, settings, PACED_PROMPTS)
    with ApiServer(answer) as server:
        api = {"url": server.url, "requests_in_flight": 1}
        project.set("models.far", {"source": "endpoint:far@1", "api": api})
        project.set("dialogues.actor", "far")
        project.set("prompts.shards", 1)
        project.set("arms", {})
        project.run("--until", "shard_prompts", "stage_model")
        yield project
