"""Topics that models propose, in a run: they become prompts, and more of them keep those."""

import json
from pathlib import Path

import pandas as pd
import pytest

from support.workflow_runs import Project, job_counts, rows_computed, tiny_config
from wim.topics import BLOCK


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path
) -> tuple[Project, str]:
    """A project whose topics are proposed, and what its first dry run and run said."""
    config = tiny_config(
        *(tiny_model, minilm),
        prompts={
            "files": [],
            "shards": 2,
            "topics": {"number": 4, "max_similarity": 0.9, "proposals": 8},
        },
        dialogues={"mode": "expert_chat", "actor": "tiny"},
        rewards={"wim": {"judge": "tiny", "zeta": 1.0}},
        arms={"wim": {"reward": "wim"}},
    )
    folder = tmp_path_factory.mktemp("topics") / "project"
    project = Project.copied(folder, config, [])
    return project, project.run("-n")


def topics_of(project: Project) -> list[str]:
    lines = (project.folder / "results/prompts/topics.jsonl").read_text().splitlines()
    return [json.loads(line)["prompt"] for line in lines]


def test_a_first_dry_run_shows_every_job(project: tuple[Project, str]) -> None:
    assert job_counts(project[1]) == {
        **{"stage_model": 2, "create_topics": 1, "ingest_prompts": 1, "shard_prompts": 1},
        **{"generate_dialogues": 2, "rate_candidates": 2, "embed_critiques": 2},
        **{
            "score_candidates": 1,
            "pair_candidates": 1,
            "train_dpo": 1,
            "audit_critiques": 1,
            "find_split_leaks": 1,
            "summary": 1,
            "page": 1,
        },
    }


def test_topics_become_prompts_and_more_of_them_keep_those(project: tuple[Project, str]) -> None:
    run, _ = project
    table = "results/prompts/prompts.parquet"
    first = run.run("--", table)
    assert rows_computed(first)["generated"] == BLOCK
    four = topics_of(run)
    assert len(four) == 4
    prompts = pd.read_parquet(run.folder / table)
    assert {messages[0]["content"] for messages in prompts["messages"]} == set(four)
    run.set("prompts.topics.number", 40)
    asked = rows_computed(run.run("--", table))["generated"]
    many = topics_of(run)
    assert many[:4] == four and len(many) == 40
    # How a model is run is no reason to ask it again.
    run.set("models.tiny.attention", "eager")
    assert run.planned("--", table) == {}
    # The proposals of the first run were known; so are those of both in the next.
    run.set("prompts.topics.max_similarity", 0.0)
    output = run.run("--", table)
    few = topics_of(run)
    assert few[0] == four[0] and len(few) < 40
    assert rows_computed(output)["generated"] + asked + BLOCK == 40 * 8
    assert f"topics: {40 - len(few)} of 40 are missing after {40 * 8} proposals" in output
    assert "like an earlier one" in output
