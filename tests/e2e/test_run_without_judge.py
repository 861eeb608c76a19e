"""Rewards that read no judge: nothing is rated, and no judge is opened or staged."""

import json
from pathlib import Path

import pandas as pd
import pytest

from support.workflow_runs import Project, tiny_config

PROMPTS = [f"Say something about the number {number}." for number in range(8)]
PAIRS = [
    {"input": text, "output_1": "Short.", "output_2": "It is quite a long answer.", "label": 1}
    for text in PROMPTS
]
TRAINING = {"batch_size": 4, "precision": "float32"}


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path) -> Project:
    """A finished run of three such rewards, with an arm of pairs, one online, and the gate."""
    config = tiny_config(
        *(tiny_model, minilm),
        shards=2,
        rewards={
            "brief": {"kind": "brevity"},
            "lot": {"kind": "random"},
            "long": {"kind": "length"},
            "both": {"kind": "panel", "of": ["brief", "long"]},
        },
        arms={
            "brief": {"reward": "brief", "training": TRAINING},
            "live": {"reward": "lot", "method": "online_dpo", "training": TRAINING},
        },
        gate={"pairs": "labelled.json"},
    )
    # A judge that nothing reads, whose files are not there.
    config["models"]["large"] = {"source": "path:none"}  # type: ignore[index]
    config["judges"] = {"large": {"model": "large"}}
    made = Project.copied(tmp_path_factory.mktemp("unjudged") / "project", config, PROMPTS)
    (made.folder / "labelled.json").write_text(json.dumps(PAIRS))
    made.run("--", "all", "reward_gate")
    return made


def test_nothing_is_rated_and_no_judge_is_staged(unjudged: Project) -> None:
    results = unjudged.folder / "results"
    assert not (results / "ratings").exists()
    assert not (unjudged.folder / "store/rate_candidates").exists()
    assert [path.name for path in (results / "models").glob("[!.]*")] == ["tiny"]
    dialogues = pd.read_parquet(results / "dialogues/base").set_index("candidate_id")
    rewards = pd.read_parquet(results / "rewards/base/brief.parquet").set_index("candidate_id")
    assert (rewards["reward"] == -dialogues["completion_tokens"].reindex(rewards.index)).all()
    assert len(rewards) == len(dialogues) == 2 * len(PROMPTS)


def test_the_pairs_prefer_the_shorter_and_name_no_judge(unjudged: Project) -> None:
    pairs = pd.read_parquet(unjudged.folder / "results/pairs/brief/round1.parquet")
    assert len(pairs) and (pairs["margin"] > 0).all()
    assert set(pairs["judge"]) == {""} and set(pairs["reward"]) == {"brief"}


def test_an_arm_that_trains_online_rates_nothing_either(unjudged: Project) -> None:
    tables = {
        name: pd.read_parquet(unjudged.folder / f"results/online/live/round1/{name}.parquet")
        for name in ("dialogues", "ratings", "rewards")
    }
    assert len(tables["ratings"]) == 0
    assert len(tables["rewards"]) == len(tables["dialogues"]) > 0
    assert len(pd.read_parquet(unjudged.folder / "results/pairs/live/round1.parquet"))


def test_the_reports_have_a_dash_in_the_judges_place(unjudged: Project) -> None:
    text = (unjudged.folder / "results/report/summary.md").read_text()
    assert "| `brief` | \N{EN DASH} |" in text
    assert "**`brief`** reads no judge" in text
    assert "## Judgements by status" in text
    figures = json.loads((unjudged.folder / "results/report/summary.json").read_text())
    assert figures["rewards"]["brief"]["judge"] is None
    assert figures["statuses"] == figures["critiques"] == {}
    gate = json.loads((unjudged.folder / "results/evaluation/gate.json").read_text())
    assert gate["brief"]["accuracy"]["value"] == 1.0
    assert gate["long"]["accuracy"]["value"] == 0.0


def test_a_second_run_has_nothing_to_do_and_a_judged_reward_costs_its_judge_alone(
    unjudged: Project, tmp_path: Path
) -> None:
    assert unjudged.planned("--", "all", "reward_gate") == {}
    project = unjudged.again(tmp_path / "project")
    project.set("judges", {"tiny": {"model": "tiny"}})
    project.set("rewards.wim", {"judge": "tiny", "zeta": 1.0})
    planned = project.planned("--", "rewards")
    assert planned["rate_candidates"] == planned["embed_critiques"] == 2
    assert planned["score_candidates"] == 1
    assert not {"generate_dialogues", "train_dpo"} & planned.keys()
