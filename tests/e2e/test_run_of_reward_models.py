"""A run with everything that trains: a teacher, a fine-tuning, a reward model and its arm."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.finished import finished_project
from support.workflow_runs import Project, tiny_config

PROMPTS = [f"Say something about the number {number}." for number in range(24)]


@pytest.fixture(scope="module")
def finished(tiny_model: Path, minilm: Path) -> Project:
    """A run with everything that trains: a teacher, fine-tunings, a reward model and its arm."""
    tiny = {"learning_rate": 1e-3, "batch_size": 4, "precision": "float32"}
    drawn = {"max_new_tokens": 24, "temperature": 1.0}
    config = tiny_config(
        *(tiny_model, minilm),
        prompts={"files": ["prompts.jsonl"], "shards": 1, "eval_fraction": 0.25},
        dialogues={"actor": "tiny", "sampling": drawn},
        policies={"teacher": {"model": "tiny", "candidates": 1}},
        sft={"taught": {"completions": "teacher", "prompts": 0.4, "finished": False, **tiny}},
        judges={
            "tiny": {"model": "tiny", "sampling": drawn},
            "scorer": {"model": "by_length", "method": "reward_model"},
        },
        rewards={
            "length": {"judge": "tiny", "kind": "length"},
            "learnt": {"judge": "scorer", "kind": "reward_model"},
        },
        reward_models={"by_length": {"arm": "length", "epochs": 3.0, **tiny}},
        arms={
            "length": {"reward": "length", "training": tiny},
            "after": {"reward": "length", "start": "taught", "training": tiny},
            "learnt": {"reward": "learnt", "training": tiny},
        },
    )
    return finished_project(
        "everything-that-trains",
        config,
        PROMPTS,
        "results/checkpoints/after/round1/manifest.json",
        "sft_checkpoint",
        "results/pairs/learnt/round1.parquet",
    )


def read(project: Project, path: str) -> Any:
    return json.loads((project.folder / "results" / path).read_text())


def test_an_arm_starts_from_the_fine_tuned_model_and_pairs_are_of_the_other_prompts(
    finished: Project,
) -> None:
    import pandas as pd

    from wim.prompts.splits import is_for_sft

    story = read(finished, "checkpoints/after/round1/provenance.json")
    assert (
        story["digests"]["base model"]
        == read(finished, "checkpoints/sft/taught/manifest.json")["digest"]
    )
    assert story["settings"]["sft"]["completions"] == "teacher"
    assert story["sft_learning_rate"] == 1e-3
    pairs = pd.read_parquet(finished.folder / "results/pairs/after/round1.parquet")
    train = pairs[pairs["split"] == "train"]
    assert len(train) and not train["prompt_id"].map(lambda name: is_for_sft(name, 0.4)).any()
    others = pd.read_parquet(finished.folder / "results/pairs/length/round1.parquet")
    assert set(train["prompt_id"]) < set(others["prompt_id"])
    assert set(pairs.loc[pairs["split"] == "eval", "prompt_id"]) == set(
        others.loc[others["split"] == "eval", "prompt_id"]
    )
    causes = read(finished, "pairs/after/round1.exclusions.json")["excluded"]
    assert causes["pairs of prompts that fine-tuning learnt from"] > 0


def test_accuracy_and_calibration_are_of_the_pairs_held_out(finished: Project) -> None:
    import pandas as pd

    told = read(finished, "reward_models/by_length/evaluation.json")["held_out"]
    pairs = pd.read_parquet(finished.folder / "results/pairs/length/round1.parquet")
    assert told["pairs"] == (pairs["split"] == "eval").sum() > 0
    assert 0 <= told["accuracy"] <= 1 and 0 <= told["expected_calibration_error"] <= 1
    assert sum(each["pairs"] for each in told["bins"]) == told["pairs"]
    card = (finished.folder / "results/reward_models/by_length/README.md").read_text()
    assert "AutoModelForSequenceClassification" in card and "# reward model by_length" in card


def test_a_reward_model_judges_from_the_store_and_its_pairs_prefer_the_higher_number(
    finished: Project, tmp_path: Path
) -> None:
    import pandas as pd

    ratings = pd.read_parquet(finished.folder / "results/ratings/base/scorer")
    assert set(ratings["status"]) == {"ok"} and set(ratings["rating_source"]) == {"reward_model"}
    assert ratings["rating_expected"].nunique() > 10 and ratings["wim"].isna().all()
    pairs = pd.read_parquet(finished.folder / "results/pairs/learnt/round1.parquet")
    scores = ratings.set_index("candidate_id")["rating_expected"]
    assert (
        scores.loc[pairs["chosen_id"]].to_numpy() > scores.loc[pairs["rejected_id"]].to_numpy()
    ).all()
    project = finished.again(tmp_path / "project")
    for file in (project.folder / "results/ratings/base/scorer").iterdir():
        file.unlink()
    output = project.run("--", "results/ratings/base/scorer/000.parquet")
    assert f"{len(ratings)} from the store, 0 judged" in output
    again = pd.read_parquet(project.folder / "results/ratings/base/scorer")
    pd.testing.assert_frame_equal(again, ratings)


def test_beta_of_the_arm_trains_no_fine_tuning_again(finished: Project, tmp_path: Path) -> None:
    project = finished.again(tmp_path / "project")
    target = "results/checkpoints/after/round1/manifest.json"
    assert project.planned("--", target, "sft_checkpoint") == {}
    project.set("arms.after.training.beta", 0.3)
    assert project.planned("--", target, "sft_checkpoint") == {"train_dpo": 1}
    project.set("arms.after.training.beta", 0.1)
    project.set("sft.taught.learning_rate", 1e-4)
    assert project.planned("--", target, "sft_checkpoint") == {"train_sft": 1, "train_dpo": 1}
