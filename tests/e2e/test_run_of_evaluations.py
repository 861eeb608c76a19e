"""Evaluations: who is better, on prompts that were held out or on files, by a reward or a judge."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.workflow_runs import Project, tiny_config
from wim.evaluation.formats.alpaca_eval import read_annotations, read_model_outputs
from wim.evaluation.from_files.win_rates import LengthControl, file_win_rates

PROMPTS = [f"Name {number} rivers and say where they end." for number in range(2, 18)]
LONGER = {"kind": "length", "judge": "tiny"}
# Enough that the checkpoint answers otherwise.
TRAINING = {"epochs": 4, "batch_size": 4, "lora": None, "learning_rate": 1e-3, "warmup": 0.0}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path) -> Project:
    """A run of one arm, and four evaluations of it."""
    config = tiny_config(
        *(tiny_model, minilm),
        rewards={"length": LONGER},
        arms={"short": {"reward": "length"}},
        training=TRAINING,
        evaluations={
            "held_out": {"reward": "length", "kl": True},
            "files": {
                "judge": "pairs",
                "prompts": {"files": ["set.json"], "column": "instruction"},
                "speakers": ["short", "others"],
                "answers": {"others": "answers.json"},
            },
            "means": {"kind": "reward"},
            "gains": {"kind": "frontier"},
        },
    )
    config["judges"]["pairs"] = {"model": "tiny", "method": "pairwise"}  # type: ignore[index]
    config["prompts"]["eval_fraction"] = 0.4  # type: ignore[index]
    made = Project.copied(tmp_path_factory.mktemp("evaluations") / "project", config, PROMPTS)
    rows = [{"instruction": text, "output": f"Answer {n}."} for n, text in enumerate(PROMPTS[:4])]
    (made.folder / "set.json").write_text(json.dumps(rows))
    (made.folder / "answers.json").write_text(json.dumps(rows[:3]))
    made.run("--", "evaluation")
    return made


def figures(project: Project, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (project.folder / f"results/evaluation/{name}.json").read_text()
    )
    return found


def test_an_arm_is_compared_with_the_actor_on_held_out_prompts(project: Project) -> None:
    found = figures(project, "held_out")
    prompts = pd.read_parquet(project.folder / "results/prompts/prompts.parquet")
    held_out = int((prompts["split"] == "eval").sum())
    assert found["prompts"] == held_out > 2
    one = found["speakers"]["short"]
    judged = one["wins"] + one["ties"] + one["losses"]
    assert judged + sum(one["failures"].values()) == one["compared"] == held_out
    assert one["win_rate"]["value"] == pytest.approx((one["wins"] + one["ties"] / 2) / judged)
    said = json.loads((project.folder / "results/evaluation/verdict.json").read_text())
    assert said["held_out"]["short"]["verdict"] in ("better", "worse", "not shown")


def test_what_an_arm_gained_stands_beside_how_far_it_went(project: Project) -> None:
    found = figures(project, "held_out")
    assert list(found["kl"]) == ["short"]
    answer = found["kl"]["short"]["answer"]
    assert answer["n"] == found["prompts"] and 0 < answer["low"] < answer["value"]
    assert "KL of an answer" in (project.folder / "results/evaluation/held_out.md").read_text()
    assert figures(project, "means")["kl"] == {}


def test_a_frontier_has_what_was_gained_against_both_divergences(project: Project) -> None:
    found = figures(project, "gains")
    curve = found["frontier"]["length"]["curves"]["sigmoid"]
    assert curve["points"]["short"]["kl"] == found["kl"]["short"]["answer"]["value"] > 0
    assert found["kl"]["short"]["reverse_token"] > 0
    mean = found["rewards"]["length"]["short"]["difference"]["difference"]["value"]
    assert curve["points"]["short"]["gain"]["value"] == mean
    # One point, at the limit: half of what it gained is in reach on average.
    assert curve["area"]["value"] == pytest.approx(max(mean, 0.0) / 2, rel=1e-4)
    text = (project.folder / "results/evaluation/gains.md").read_text()
    assert "| sigmoid | `short` | 0.1 |" in text
    assert (project.folder / "results/evaluation/gains.svg").stat().st_size > 10_000


def test_the_card_of_a_checkpoint_has_its_evaluations(project: Project) -> None:
    card = (project.folder / "results/evaluation/cards/short.md").read_text()
    trained = (project.folder / "results/checkpoints/short/round1/README.md").read_text()
    assert card.startswith(trained.rstrip())
    rows = card.split("## Evaluations")[1]
    assert all(f"| `{name}` |" in rows for name in ("held_out", "files", "means", "gains"))


def test_the_clearest_answers_and_what_the_judge_is_worth_stand_on_the_page(
    project: Project,
) -> None:
    text = (project.folder / "results/evaluation/held_out.md").read_text()
    one = figures(project, "held_out")["speakers"]["short"]
    assert text.count("### Win by") == min(5, one["wins"])
    assert text.count("### Loss by") == min(5, one["losses"])
    assert "How often `length` agrees with people is not known" in text


def test_the_answers_of_the_actor_come_from_the_row_store(project: Project) -> None:
    base = pd.read_parquet(project.folder / "results/dialogues/base")
    own = pd.read_parquet(project.folder / "results/dialogues/held_out@base")
    assert set(own["candidate_id"]) <= set(base["candidate_id"])


def test_a_file_of_answers_is_a_speaker_and_its_missing_answers_are_counted(
    project: Project,
) -> None:
    found = figures(project, "files")
    assert set(found["speakers"]) == {"others", "short"}
    assert found["unanswered"] == {"base": 0, "others": 1, "short": 0}
    assert found["speakers"]["others"]["compared"] == 3
    assert list(found["between"]) == ["short - others"]
    assert found["between"]["short - others"]["common"] == 3
    text = (project.folder / "results/evaluation/files.md").read_text()
    assert "every speaker against `base`, by `pairs`" in text


def test_what_is_exported_is_read_back_by_the_commands_on_files(project: Project) -> None:
    folder = project.folder / "results/evaluation/exports/files/alpaca_eval/others"
    rows = file_win_rates(read_annotations(folder / "annotations.json").rows, 0, LengthControl())
    own = figures(project, "files")["speakers"]["others"]
    assert rows[0].figures.win_rate.value == pytest.approx(own["win_rate"]["value"], rel=1e-5)
    outputs = read_model_outputs(folder / "model_outputs.json")
    assert [one.output for one in outputs] and {one.generator for one in outputs} == {"others"}


def test_the_mean_of_a_reward_is_that_of_its_table(project: Project) -> None:
    found = figures(project, "means")["rewards"]["length"]
    table = pd.read_parquet(project.folder / "results/rewards/means@short/length.parquet")
    assert found["short"]["mean"]["value"] == pytest.approx(table["reward"].mean(), rel=1e-5)
    assert "difference" not in found["base"]


def test_another_evaluation_leaves_the_arm_and_the_others_alone(project: Project) -> None:
    project.set("evaluations.again", {"reward": "length", "speakers": ["short"]})
    planned = project.run("-n", "--", "evaluation")
    for rule in ("train_dpo", "pair_candidates"):
        assert rule not in planned
    assert "results/evaluation/again.json" in planned


def test_models_that_one_has_are_compared_without_any_training(
    tmp_path: Path, tiny_model: Path, thinking_model: Path
) -> None:
    config: dict[str, object] = {
        "models": {
            "mine": {"source": f"path:{tiny_model}", "dtype": "float32"},
            "yours": {"source": f"path:{thinking_model}", "dtype": "float32", "thinking": 32},
            "quiet": {"source": f"path:{thinking_model}", "dtype": "float32", "thinking": "off"},
        },
        "dialogues": {"actor": "mine", "sampling": {"max_new_tokens": 16}},
        "judges": {"pairs": {"model": "mine", "method": "pairwise"}},
        "prompts": {"shards": 1},
        "evaluations": {
            "ours": {
                "judge": "pairs",
                "speakers": ["yours"],
                "prompts": {"files": ["prompts.jsonl"]},
            },
            "thinking": {
                "judge": "pairs",
                "reference": "quiet",
                "speakers": ["yours"],
                "prompts": {"files": ["prompts.jsonl"]},
            },
        },
    }
    project = Project.copied(tmp_path / "project", config, PROMPTS[:4])
    project.run()
    found = figures(project, "ours")
    assert found["speakers"]["yours"]["compared"] == 4
    # One model that differs in its thinking alone is two speakers.
    assert figures(project, "thinking")["speakers"]["yours"]["compared"] == 4
    made = {
        path.parts[1]
        for path in (project.folder / "results").rglob("*.parquet")
        for path in [path.relative_to(project.folder)]
    }
    assert made == {"dialogues", "comparisons", "evaluation"}
    text = pd.read_parquet(project.folder / "results/dialogues/ours@yours")
    assert not text["completion"].str.contains("think>").any()
