"""The study of rewards, by the command: on recorded critiques no model judges anything."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.recorded_critiques import recorded_rows
from support.workflow_runs import Project, tiny_config

SETS = {"first": 1, "second": 2}


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path) -> Project:
    """A project with two sets of recorded critiques, and the study done."""
    config = tiny_config(
        *(tiny_model, minilm),
        rewards={
            "wim": {"judge": "tiny", "zeta": 1.0},
            "number": {"judge": "tiny", "zeta": 0.0},
            "confident": {"judge": "tiny", "kind": "nothing_missing"},
            "learnt": {
                "judge": "tiny",
                "kind": "critique_head",
                "fit": "logistic",
                "learns_from": ["first"],
            },
            "longer": {"kind": "length"},
        },
        arms={},
        study={"recorded": {name: {"ratings": [f"{name}.jsonl"]} for name in SETS}},
    )
    project = Project.copied(tmp_path_factory.mktemp("study") / "project", config, [])
    for name, seed in SETS.items():
        rows = recorded_rows(prompts=24, judgements=3, seed=seed)
        (project.folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows)
        )
    assert project.planned("--", "reward_study") == {"stage_model": 1, "reward_study": 1}
    project.run("--", "reward_study")
    return project


@pytest.fixture(scope="module")
def figures(studied: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (studied.folder / "results/evaluation/study.json").read_text()
    )
    return found


def test_a_reward_beats_length_and_cosine_on_both_sets(figures: dict[str, Any]) -> None:
    choice = figures["choice"]
    assert choice["proven"] == list(SETS)
    for name in SETS:
        best = figures["sets"][name]["rewards"][choice["reward"]]
        for less in ("less_length", "less_cosine"):
            assert best[less]["value"] > 0.1
            assert best[less]["low"] > 0


def test_all_rewards_and_those_always_tried_are_measured_or_it_is_said_why_not(
    figures: dict[str, Any],
) -> None:
    of_set = figures["sets"]["first"]
    names = {name.partition(" x ")[0] for name in of_set["rewards"]}
    assert names == {
        *("wim", "number", "learnt", "longer", "(longer response)", "(critique_head)"),
        *("(number, ties: lack_share)", "(number, ties: critique_head)", "(lack_share)"),
    }
    assert set(of_set["left_out"]) == {"confident"}
    assert of_set["rewards"]["number x 2"]["samples"] == 2
    assert "longer x 2" not in of_set["rewards"]


def test_the_split_of_each_head_is_stated(figures: dict[str, Any]) -> None:
    splits = {name: figures["sets"][name]["splits"] for name in SETS}
    assert splits["second"]["learnt"] == "by source: fitted to first"
    assert splits["first"]["learnt"].startswith("by prompt: 5 folds of this set's own critiques")
    assert splits["first"]["(critique_head)"] == "by source: fitted to second"


def test_the_page_and_the_figure_say_the_same(studied: Project, figures: dict[str, Any]) -> None:
    folder = studied.folder / "results/evaluation"
    page = (folder / "study.md").read_text()
    assert f"**Train on `{figures['choice']['reward']}`:**" in page
    table, _, several = page.partition("## What more judgements buy")
    of_first = figures["sets"]["first"]["rewards"]
    assert table.count("\n| first | ") == len(of_first)
    assert several.count("\n| first | ") == sum(one["samples"] > 1 for one in of_first.values())
    assert (folder / "study.svg").stat().st_size > 5000
    assert "| second | " in (studied.folder / "logs/reward_study.log").read_text()


def test_the_same_critiques_give_the_same_bytes_and_a_new_reward_embeds_nothing(
    studied: Project, tmp_path: Path
) -> None:
    project = studied.again(tmp_path / "project")
    assert project.planned("--", "reward_study") == {}
    before = project.results()
    project.run("-F", "--", "results/evaluation/study.md")
    assert project.results() == before
    project.set("rewards.lacks", {"judge": "tiny", "kind": "lack_share"})
    assert project.planned("--", "reward_study") == {"reward_study": 1}


def test_without_anything_to_measure_on_it_says_what_to_write(
    studied: Project, tmp_path: Path
) -> None:
    project = studied.again(tmp_path / "project")
    project.set("study", {})
    project.set("rewards", {"wim": {"judge": "tiny", "zeta": 1.0}})
    output = project.run("-n", "--", "reward_study", status=1)
    assert "write study.recorded: {<name>: {ratings: [<file of critiques>]}}" in output
