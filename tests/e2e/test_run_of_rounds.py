"""Rounds in a run: each takes the checkpoint before as the actor, until the arm has converged."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.finished import PROMPTS, finished_project
from support.planning import plan
from support.workflow_runs import Project, tiny_config

# Three rounds of three arms take minutes; the parts of a round are tested in unit/rounds, unit/dag.
pytestmark = pytest.mark.slow

PROMPTS_OF_RUN = [
    *PROMPTS,
    "Where do the hills end?",
    "Which word is missing?",
    "What time is it?",
    "Is water needed?",
    "Who sells bread?",
    "What falls on the hills?",
    "Which step is left out?",
    "Name a source.",
]
TRAINING = {"batch_size": 2, "learning_rate": 0.01, "warmup": 0.0}


def arms() -> dict[str, Any]:
    stop = {"count": 3, "reference": "initial", "stop": {"below": 100}}
    fresh = {"count": 2, "prompts": "fresh", "slices": 3, "judge": "self"}
    return {
        "stop": {"reward": "wim", "rounds": stop, "training": TRAINING},
        "fresh": {
            "reward": "wim",
            "rounds": fresh,
            "training": {**TRAINING, "learning_rate": 1e-3, "lora": None},
        },
    }


def settings(model: Path, encoder: Path) -> dict[str, object]:
    """Two arms: one that has converged after its second round, one that judges itself."""
    return tiny_config(
        *(model, encoder, 24),
        prompts={"files": ["prompts.jsonl"], "shards": 1, "eval_fraction": 0.3},
        dialogues={"actor": "tiny", "candidates": 4, "sampling": {"max_new_tokens": 16}},
        rewards={"wim": {"judge": "tiny", "zeta": 1.0}},
        arms=arms(),
    )


@pytest.fixture(scope="module")
def finished(tiny_model: Path, minilm: Path) -> Project:
    """A project whose arms have gone through their rounds. Tests work on copies of it."""
    return finished_project("rounds", settings(tiny_model, minilm), PROMPTS_OF_RUN)


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project that a test may change."""
    return finished.again(tmp_path / "project")


def test_a_dry_run_from_nothing_shows_all_rounds_and_a_finished_run_has_none_left(
    finished: Project, tmp_path: Path, tiny_model: Path, minilm: Path
) -> None:
    new = Project.copied(tmp_path / "new", settings(tiny_model, minilm), PROMPTS_OF_RUN)
    assert new.planned() == {
        **{"stage_model": 2, "ingest_prompts": 1, "shard_prompts": 1, "select_prompts": 3},
        **dict.fromkeys(("generate_dialogues", "rate_candidates", "embed_critiques"), 4),
        **{"score_candidates": 4, "pair_candidates": 5, "train_dpo": 5, "check_convergence": 1},
        **{"find_split_leaks": 1, "audit_critiques": 1, "summary": 1, "rounds": 1, "page": 1},
    }
    assert finished.planned() == {}


def told(project: Project, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.folder / "results" / path).read_text())
    return found


def test_the_second_checkpoint_is_trained_from_the_first_on_its_own_dialogues(
    finished: Project,
) -> None:
    first, second = (
        told(finished, f"checkpoints/stop/round{each}/manifest.json") for each in (1, 2)
    )
    actor = told(finished, "models/tiny/manifest.json")
    stories = [told(finished, f"checkpoints/stop/round{each}/provenance.json") for each in (1, 2)]
    assert [story["digests"]["base model"] for story in stories] == [
        actor["digest"],
        first["digest"],
    ]
    assert len({actor["digest"], first["digest"], second["digest"]}) == 3
    pairs = pd.read_parquet(finished.folder / "results/pairs/stop/round2.parquet")
    assert set(pairs["chosen_model"]) == {"stop-round1"}
    spoken = pd.read_parquet(finished.folder / "results/dialogues/stop-round1/000.parquet")
    assert set(spoken["model_digest"]) == {first["digest"]}


def test_the_initial_reference_is_the_actor(finished: Project) -> None:
    actor = told(finished, "models/tiny/manifest.json")["digest"]
    digests = [
        told(finished, f"checkpoints/stop/round{each}/provenance.json")["digests"]
        for each in (1, 2)
    ]
    assert "reference model" not in digests[0]
    assert digests[1]["reference model"] == actor
    assert digests[1]["base model"] != actor


def test_the_kl_to_the_reference_is_measured_after_training(finished: Project) -> None:
    for arm in ("stop", "fresh"):
        log = finished.folder / f"results/checkpoints/{arm}/round1/metrics.jsonl"
        (row,) = [row for row in map(json.loads, log.read_text().splitlines()) if "eval_kl" in row]
        assert row["eval_kl"] > 0
        assert row["eval_kl_tokens"] > row["eval_kl_pairs"] > 0


def test_a_stopped_arm_passes_its_checkpoint_on_and_says_so(finished: Project) -> None:
    assert told(finished, "rounds/stop/round2.json")["stop"] is True
    second, third = (
        told(finished, f"checkpoints/stop/round{each}/manifest.json") for each in (2, 3)
    )
    assert third["digest"] == second["digest"]
    assert "passed on as round 3: pair_margin moved by" in third["source"]
    folder = finished.folder / "results/checkpoints/stop/round3"
    assert "passed on unchanged as that of round 3" in (folder / "README.md").read_text()
    assert told(finished, "checkpoints/stop/round3/provenance.json")["passed_on"]["to_round"] == 3
    assert "passed on" not in (folder.with_name("round2") / "README.md").read_text()
    spoken = pd.read_parquet(finished.folder / "results/dialogues/stop-round2/000.parquet")
    assert not len(spoken)


def test_fresh_rounds_train_on_other_prompts(finished: Project) -> None:
    results = finished.folder / "results"
    first, second = (
        pd.read_parquet(results / f"pairs/fresh/round{each}.parquet").query("split == 'train'")
        for each in (1, 2)
    )
    assert len(first)
    assert len(second)
    assert not set(first["prompt_id"]) & set(second["prompt_id"])
    both = pd.read_parquet(results / "pairs/stop/round1.parquet").query("split == 'train'")
    assert len(both) > len(first)


def test_a_checkpoint_that_judges_itself_is_the_judges_model(finished: Project) -> None:
    results = finished.folder / "results"
    digests = {
        policy: set(pd.read_parquet(results / f"ratings/{policy}/tiny/000.parquet")["judge_digest"])
        for policy in ("base", "stop-round1", "fresh-round1")
    }
    assert digests["stop-round1"] == digests["base"]
    assert digests["fresh-round1"] != digests["base"]


def test_the_reports_have_every_round(finished: Project) -> None:
    rounds = told(finished, "report/rounds.json")["rounds"]
    assert [(one["arm"], one["round"], one["policy"]) for one in rounds] == [
        ("stop", 1, "base"),
        ("stop", 2, "stop-round1"),
        ("stop", 3, "stop-round2"),
        ("fresh", 1, "base"),
        ("fresh", 2, "fresh-round1"),
    ]
    assert [one["passed_on"] for one in rounds] == [False, False, True, False, False]
    assert all(one["mean_reward"] is not None for one in rounds if not one["passed_on"])
    assert set(told(finished, "report/summary.json")["training"]) == {
        f"{one['arm']}-round{one['round']}" for one in rounds
    }
    text = (finished.folder / "results/report/rounds.md").read_text()
    assert len([line for line in text.splitlines() if line.startswith("| `")]) == 5


REPORTS = {"summary": 1, "rounds": 1}
PAGE = {"page": 1}
LATER = {
    **dict.fromkeys(("generate_dialogues", "rate_candidates", "embed_critiques"), 1),
    **{"score_candidates": 1, "pair_candidates": 1, "train_dpo": 1},
}


@pytest.mark.parametrize(
    ("key", "value", "jobs"),
    [
        (
            "arms.fresh.by_round",
            {"2": {"training": {"beta": 0.2}}},
            {"train_dpo": 1, **REPORTS},
        ),
        (
            "arms.fresh.by_round",
            {"2": {"pairs": {"ties": "first"}}},
            {"pair_candidates": 1, "train_dpo": 1, **REPORTS, **PAGE},
        ),
        (
            "arms.fresh.rounds.count",
            3,
            {**LATER, "select_prompts": 1, **REPORTS, **PAGE},
        ),
        ("arms.fresh.rounds.count", 1, REPORTS | PAGE),
        (
            "arms.fresh.rounds.reference",
            "initial",
            {"train_dpo": 1, **REPORTS},
        ),
        (
            "arms.fresh.rounds.judge",
            "initial",
            {key: 1 for key in LATER if key != "generate_dialogues"} | REPORTS | PAGE,
        ),
    ],
    ids=["training", "pairs", "one more", "one less", "reference", "judge"],
)  # fmt: skip
def test_what_changes_in_the_second_round_runs_nothing_of_the_first(
    project: Project, key: str, value: object, jobs: dict[str, int]
) -> None:
    project.set(key, value)
    assert project.planned() == jobs


def test_a_plan_knows_the_rounds_and_what_a_checkpoint_has_judged(project: Project) -> None:
    project.set("arms.fresh.by_round", {"2": {"training": {"beta": 0.2}}})
    jobs, why, rows, *_ = plan(project, "dpo_checkpoint")["train_dpo"]
    assert jobs == "1 job (fresh/2)"
    assert why == "why   settings changed: training.beta 0.1 -> 0.2"
    assert rows.endswith(" pairs")
    shutil.rmtree(project.folder / "results/ratings/fresh-round1")
    target = "results/ratings/fresh-round1/tiny/000.parquet"
    assert plan(project, target)["rate_candidates"][2].endswith(", to compute 0")
