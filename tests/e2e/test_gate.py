"""The reward gate: judges and rewards on labelled pairs, by the same stages as any dialogue."""

import json
from pathlib import Path

import pandas as pd
import pytest

from support.workflow_runs import Project, tiny_config

PAIRS = [
    {
        "input": f"Say something about the number {number}.",
        "output_1": "It is a number."
        if number % 2
        else "It is a number, and it is even, so two divides it.",
        "output_2": "It is a number, and it is odd, so two does not divide it."
        if number % 2
        else "A number.",
        "label": 2 if number % 2 else 1,
    }
    for number in range(16)
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path) -> Project:
    """A project whose labelled pairs prefer the longer response, with the gate run."""
    drawn = {"max_new_tokens": 24, "temperature": 1.0}
    config = tiny_config(
        *(tiny_model, minilm),
        shards=2,
        dialogues={"actor": "tiny", "sampling": drawn},
        judges={
            "tiny": {"model": "tiny", "sampling": drawn},
            "two": {"model": "tiny", "method": "pairwise"},
        },
        rewards={
            "wim": {"judge": "tiny", "zeta": 1.0},
            "number": {"judge": "tiny", "zeta": 0.0, "rating": "rating_expected"},
            "both": {"kind": "panel", "of": ["wim", "number"]},
            "lot": {"kind": "random", "judge": "tiny"},
        },
        arms={"number": {"reward": "number", "training": {"batch_size": 4}}},
        gate={"pairs": "labelled.json", "retest": 0.5, "tuned": ["wim", "pairs/two", "number"]},
    )
    prompts = [f"Say something about the number {number}." for number in range(6)]
    project = Project.copied(tmp_path_factory.mktemp("gate") / "project", config, prompts)
    (project.folder / "labelled.json").write_text(json.dumps(PAIRS))
    project.run("--", "reward_gate", "judge_tuning")
    return project


def test_every_reward_is_measured_on_every_pair_beside_the_longer_response(
    measured: Project,
) -> None:
    told = json.loads((measured.folder / "results/evaluation/gate.json").read_text())
    assert set(told) == {"wim", "number", "both", "lot", "pairs/two", "(longer response)"}
    assert told["(longer response)"]["accuracy"]["value"] == 1.0
    assert all(one["pairs"] == len(PAIRS) for one in told.values())
    assert (measured.folder / "results/evaluation/gate.svg").stat().st_size > 1000
    log = (measured.folder / "logs/reward_gate.log").read_text()
    for reward in told:
        assert f"| {reward} | " in log


def test_a_judge_of_pairs_is_measured_in_both_orders(measured: Project) -> None:
    folder = measured.folder / "results"
    rows = pd.read_parquet(folder / "comparisons/labelled/two")
    told = json.loads((folder / "evaluation/gate.json").read_text())["pairs/two"]
    assert len(rows) == told["judged"] == len(PAIRS)
    assert told["tie_rate"]["value"] == (rows["winner"] == "tie").mean()
    first_shown = rows["logprob_a_shown_first"] > rows["logprob_b_shown_second"]
    then_shown = rows["logprob_b_shown_first"] > rows["logprob_a_shown_second"]
    bias = (first_shown * 2 - 1 + then_shown * 2 - 1) / 2
    assert told["position_bias"]["value"] == pytest.approx(bias.mean())
    assert "| pairs/two | 16 |" in (folder / "evaluation/gate.md").read_text()


def test_the_best_of_several_is_reported_on_prompts_that_it_was_not_chosen_on(
    measured: Project,
) -> None:
    told = json.loads((measured.folder / "results/evaluation/judge_tuning.json").read_text())
    assert (told["tries"], told["first"]) == (3, "wim")
    assert set(told["choosing"]) == {"wim", "pairs/two", "number"}
    assert told["choosing"][told["chosen"]]["value"] == max(
        one["value"] for one in told["choosing"].values()
    )
    assert told["choosing_pairs"] + told["reporting_pairs"] == len(PAIRS)
    assert told["accuracy"]["n"] == told["reporting_pairs"]
    text = (measured.folder / "results/evaluation/judge_tuning.md").read_text()
    assert f"# The best of 3 tries: {told['chosen']}" in text


def test_some_of_the_pairs_are_judged_again_by_another_seed(measured: Project) -> None:
    folder = measured.folder / "results"
    again = pd.read_parquet(folder / "rewards/retest/lot.parquet").set_index("candidate_id")
    first = pd.read_parquet(folder / "rewards/labelled/lot.parquet").set_index("candidate_id")
    assert 0 < len(again) < len(first)
    told = json.loads((folder / "evaluation/gate.json").read_text())
    both = pd.DataFrame({"again": again["reward"], "first": first["reward"]}).dropna()
    retest = told["lot"]["retest"]
    assert retest["correlation"]["n"] == len(both) > 3
    assert retest["correlation"]["value"] == pytest.approx(both.corr("spearman").iloc[0, 1])
    assert 0 < retest["same_winner"]["n"] <= len(again) / 2
    ratings = [pd.read_parquet(folder / f"ratings/{name}/tiny") for name in ("retest", "labelled")]
    words = ratings[0].merge(ratings[1], on="candidate_id")
    assert (words["raw_x"] != words["raw_y"]).any()


def test_an_accuracy_is_that_of_the_rewards_table(measured: Project) -> None:
    folder = measured.folder / "results"
    rewards = pd.read_parquet(folder / "rewards/labelled/number.parquet")
    dialogues = pd.concat(map(pd.read_parquet, sorted((folder / "dialogues/labelled").iterdir())))
    rows = dialogues.merge(rewards, on="candidate_id").pivot(index="dialogue_id", columns="speaker")
    scored = rows["reward"].dropna()
    length = rows["completion"].map(len).loc[scored.index]
    lead = (scored["a"] - scored["b"]) * (length["a"] - length["b"])
    expected = ((lead > 0) + 0.5 * (lead == 0)).mean()
    told = json.loads((folder / "evaluation/gate.json").read_text())["number"]
    assert told["judged"] == len(scored) > 0
    assert told["accuracy"]["value"] == pytest.approx(expected)


def test_a_reward_below_the_bar_stops_its_arm_before_training_with_the_reason(
    measured: Project, tmp_path: Path
) -> None:
    project = measured.again(tmp_path / "project")
    project.set("gate.bar", 0.99)
    output = project.run("--", "dpo_checkpoint", status=1)
    assert "the reward 'number' does not beat gate.bar 0.99: its accuracy is" in output
    assert not (project.folder / "results/checkpoints").exists()
    project.set("gate.bar", 0.0)
    project.set("arms.number.pairs", {"ties": "random"})
    project.run("--", "dpo_checkpoint")
    assert (project.folder / "results/checkpoints/number/round1/manifest.json").exists()


def test_another_judge_in_a_panel_runs_what_is_new_alone(measured: Project, tmp_path: Path) -> None:
    project = measured.again(tmp_path / "project")
    assert project.planned("--", "reward_gate") == {}
    project.set("judges.second", {"model": "tiny", "nothing_missing": "All is said"})
    project.set("rewards.other", {"judge": "second", "zeta": 0.0})
    project.set("rewards.both.of", ["wim", "number", "other"])
    assert project.planned("--", "reward_gate") == {
        "rate_candidates": 4,
        "embed_critiques": 4,
        "score_candidates": 2,
        "combine_rewards": 2,
        "reward_gate": 1,
    }


def test_without_labelled_pairs_the_gate_says_what_to_write(
    measured: Project, tmp_path: Path
) -> None:
    project = measured.again(tmp_path / "project")
    project.set("gate", {})
    output = project.run("-n", "--", "reward_gate", status=1)
    assert "write the path of a file of labelled pairs" in output
