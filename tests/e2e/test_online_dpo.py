"""Online DPO: pairs are drawn and judged while the model trains, and a failed judgement is no pair."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from support.finished import finished_project
from support.started import killed_when
from support.workflow_runs import Project, rows_computed, tiny_config
from wim.errors import UserError
from wim.settings.load import load_config

PROMPTS = ["Name a river.", "How is bread made?", "Why does it rain?", "Who wrote the answer?"]


@pytest.fixture(scope="module")
def trained(tiny_model: Path, minilm: Path) -> Project:
    """A project whose arm trained online."""
    config = tiny_config(
        *(tiny_model, minilm, 24),
        shards=2,
        rewards={"wim": {"judge": "tiny", "zeta": 0.5, "rating": "rating_expected"}},
        arms={
            "online": {
                "reward": "wim",
                "method": "online_dpo",
                "training": {"batch_size": 2, "precision": "float32", "epochs": 2},
            }
        },
    )
    return finished_project("online", config, PROMPTS, "dpo_checkpoint")


def table(project: Project, name: str) -> pd.DataFrame:
    return pd.read_parquet(project.folder / "results" / name)


def history(project: Project) -> list[dict[str, float]]:
    path = project.folder / "results/checkpoints/online/round1/metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_was_drawn_is_judged_and_paired_as_dialogues_are(trained: Project) -> None:
    drawn, ratings, rewards = (
        table(trained, f"online/online/round1/{name}.parquet")
        for name in ("dialogues", "ratings", "rewards")
    )
    assert len(drawn) == 2 * len(PROMPTS) * 2, "two completions of each prompt in each epoch"
    assert set(drawn["candidate_id"]) == set(ratings["candidate_id"])
    pairs = table(trained, "pairs/online/round1.parquet")
    score = rewards.set_index("candidate_id")["reward"]
    assert len(pairs)
    assert (pairs["score_chosen"] > pairs["score_rejected"]).all()
    assert pairs["score_chosen"].tolist() == [score[name] for name in pairs["chosen_id"]]
    assert not set(pairs["chosen_id"]) & set(ratings[ratings["rating"].isna()]["candidate_id"])
    log = (trained.folder / "logs/train_online_dpo/online/round1.log").read_text()
    assert rows_computed(log)["judged"] == 0, "the tables are written from what was judged before"


def test_the_checkpoint_has_learnt_from_the_labelled_pairs_alone(trained: Project) -> None:
    steps = [row for row in history(trained) if "online/labelled" in row]
    pairs = table(trained, "pairs/online/round1.parquet")
    assert sum(row["online/labelled"] for row in steps) * 2 == pytest.approx(len(pairs))
    folder = trained.folder / "results/checkpoints/online/round1"
    from safetensors.torch import load_file

    after = load_file(folder / "model.safetensors")
    before = load_file(trained.folder / "results/models/tiny/model.safetensors")
    assert any(not torch.equal(after[name], before[name]) for name in before if name in after)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_losses_and_tables(
    trained: Project, tmp_path: Path
) -> None:
    project = trained.again(tmp_path / "project")
    for folder in ("results/checkpoints", "results/online", "results/pairs", "store"):
        shutil.rmtree(project.folder / folder)
    working = project.folder / "store/train_online_dpo"

    def saved_twice() -> bool:
        return len(list(working.glob("*/checkpoint-*/complete"))) >= 2

    arguments = ["--set-resources", "train_online_dpo:save_seconds=0", "--", "dpo_checkpoint"]
    killed_when(project, saved_twice, arguments)
    assert "resuming from checkpoint-" in project.run("--", "dpo_checkpoint")
    names = ("loss", "online/labelled")
    told = [{name: row[name] for name in names if name in row} for row in history(project)]
    before = [{name: row[name] for name in names if name in row} for row in history(trained)]
    assert len(told) == len(before)
    for found, expected in zip(told, before, strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    for name in ("dialogues", "ratings"):
        name = f"online/online/round1/{name}.parquet"
        pd.testing.assert_frame_equal(table(project, name), table(trained, name))
    name = "pairs/online/round1.parquet"
    pd.testing.assert_frame_equal(table(project, name), table(trained, name))


def test_a_second_run_has_nothing_to_do_and_another_judge_setting_trains_anew(
    trained: Project, tmp_path: Path
) -> None:
    project = trained.again(tmp_path / "project")
    assert project.planned("--", "dpo_checkpoint") == {}
    project.set("rewards.wim.zeta", 0.4)
    assert project.planned("--", "dpo_checkpoint") == {"train_online_dpo": 1}


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ({"training": {"loss": "hinge"}}, ["arms.a.training.loss", "sigmoid, ipo"]),
        ({"training": {"wpo_weighting": True}}, ["arms.a.training.wpo_weighting", "leave it out"]),
        ({"reward": "shuffled"}, ["arms.a.reward", "shuffled_wim"]),
    ],
)
def test_what_cannot_train_online_is_refused(arm: dict[str, object], words: list[str]) -> None:
    rewards = {
        "wim": {"judge": "smollm2", "zeta": 1.0},
        "shuffled": {"judge": "smollm2", "kind": "shuffled_wim", "zeta": 1.0},
    }
    arms = {"a": {"reward": "wim", "method": "online_dpo", **arm}}
    with pytest.raises(UserError) as refused:
        load_config({"rewards": rewards, "arms": arms})
    for word in words:
        assert word in str(refused.value)
