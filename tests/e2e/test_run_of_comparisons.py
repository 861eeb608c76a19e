"""Comparisons in a run, with a teacher and a judge behind an API."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from support.api_server import ApiServer, Fields, Reply, last_message, said
from support.workflow_runs import Project


def answer(fields: Fields, before: int) -> Reply:
    """As a server that prefers the longer answer; 3 it cannot tell by, and of 5 it will not."""
    text = last_message(fields)
    if "one of these" not in text:
        return said(f"A teacher's answer, which seldom is the shorter one, to: {text}")
    if "number 5." in text:
        return said("I would rather not say.")
    first, second = text.split("[answer A]")[1].split("[answer B]")
    second = second.split("Which answer is better?")[0]
    return said("A" if "number 3." in text or len(first.strip()) > len(second.strip()) else "B")


@pytest.fixture(scope="module")
def against_teacher(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path
) -> Iterator[Project]:
    """A project whose arm is labelled by comparing a teacher with the actor; its pairs are made."""
    drawn = {"max_new_tokens": 12, "temperature": 1.0}
    with ApiServer(answer) as server:
        config: dict[str, object] = {
            "models": {
                "tiny": {"source": f"path:{tiny_model}", "dtype": "float32"},
                "far": {
                    "source": "endpoint:far-1@2026-01",
                    "api": {"url": server.url, "samples": 3},
                },
            },
            "prompts": {"files": ["prompts.jsonl"], "shards": 2, "eval_fraction": 0.0},
            "dialogues": {"actor": "tiny", "sampling": drawn, "candidates": 1},
            "policies": {"teacher": {"model": "far"}},
            "judges": {"pairs": {"model": "far", "method": "pairwise"}},
            "comparisons": {"versus": {"judge": "pairs", "between": ["teacher", "base"]}},
            "rewards": {},
            "arms": {"ai": {"comparison": "versus"}},
        }
        prompts = [f"Say something about the number {number}." for number in range(8)]
        folder = tmp_path_factory.mktemp("comparisons") / "project"
        project = Project.copied(folder, config, prompts)
        project.run("--", "pairs")
        yield project


def test_a_teacher_is_compared_with_the_actor_and_the_winner_becomes_chosen(
    against_teacher: Project,
) -> None:
    results = against_teacher.folder / "results"
    rows = pd.read_parquet(results / "comparisons/versus/pairs")
    said_by = pd.concat(
        pd.read_parquet(results / "dialogues" / policy) for policy in ("teacher", "base")
    ).set_index("candidate_id")["completion"]
    pairs = pd.read_parquet(results / "pairs/ai/round1.parquet")
    counts = json.loads((results / "pairs/ai/round1.exclusions.json").read_text())
    assert rows["status"].value_counts().to_dict() == {"ok": 7, "error": 1}
    assert set(rows["source"].dropna()) == {"samples"}
    assert counts["excluded"] == {"comparisons that tie": 1, "comparisons with status error": 1}
    assert len(pairs) == 6
    for row in pairs.itertuples():
        assert len(said_by[row.chosen_id]) > len(said_by[row.rejected_id])
        assert {row.chosen_model, row.rejected_model} == {"teacher", "base"}
        assert (row.score_chosen, row.margin) == (1.0, 1.0)


def test_what_a_comparison_changes_runs_and_nothing_else(
    against_teacher: Project, tmp_path: Path
) -> None:
    project = against_teacher.again(tmp_path / "project")
    project.set("arms.ai.pairs", {"min_margin": 0.01})
    project.set("comparisons.within", {"judge": "pairs", "between": ["teacher"]})
    project.set("arms.own", {"comparison": "within"})
    assert project.planned("--", "pairs") == {"compare_candidates": 2, "pair_compared": 2}
