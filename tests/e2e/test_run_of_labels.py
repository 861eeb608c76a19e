"""A base model that continues texts, and a classifier whose label is the reward: as on IMDb."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from support.workflow_runs import REPOSITORY, Project, jobs_done, tiny_config

PROMPTS = [f"I really like number {number}" for number in range(12)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path) -> Project:
    """An arm on the probability of a label, and its frontier."""
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    classifier = tmp_path_factory.mktemp("classifier")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = AutoConfig.from_pretrained(tiny_model)
    config.num_labels, config.pad_token_id = 2, tokenizer.eos_token_id
    config.id2label, config.label2id = {0: "NEG", 1: "POS"}, {"NEG": 0, "POS": 1}
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(classifier)
    tokenizer.save_pretrained(classifier)
    config = tiny_config(
        *(tiny_model, minilm),
        rewards={"positive": {"judge": "sentiment", "kind": "reward_model"}},
        arms={},
        grid={"g": {"reward": "positive", "training.beta": [0.1, 1.0]}},
        training={"batch_size": 4, "precision": "float32", "learning_rate": 1e-3},
        evaluations={"imdb": {"kind": "frontier", "rewards": ["positive"]}},
    )
    config["models"]["tiny"]["chat_template"] = "config/chat_templates/continuation.jinja"
    config["models"]["sentiment"] = {
        "source": f"path:{classifier}",
        "dtype": "float32",
        "chat_template": "config/chat_templates/classifier.jinja",
    }
    config["judges"] = {
        "sentiment": {"model": "sentiment", "method": "reward_model", "label": "POS"}
    }
    config["prompts"]["eval_fraction"] = 0.4
    made = Project.copied(tmp_path_factory.mktemp("labels") / "project", config, PROMPTS)
    # The templates are the workflow's own, as for a working directory elsewhere.
    done = jobs_done(made.run("--", "evaluation"))
    assert done["rate_by_label"] == 4 and "rate_candidates" not in done
    assert (REPOSITORY / "config/chat_templates/classifier.jinja").exists()
    return made


def test_the_reward_is_the_probability_of_the_label(project: Project) -> None:
    rewards = pd.read_parquet(project.folder / "results/rewards/base/positive.parquet")
    assert rewards["reward"].between(0, 1).all() and rewards["reward"].nunique() > 1


def test_the_frontier_is_of_both_betas(project: Project) -> None:
    found = json.loads((project.folder / "results/evaluation/imdb.json").read_text())
    (curve,) = found["frontier"]["positive"]["curves"].values()
    assert sorted(point["beta"] for point in curve["points"].values()) == [0.1, 1.0]
    assert project.planned("--", "evaluation") == {}
