"""Judges that judge each response twice, and rewards that read the critique, from judge to pairs."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from support.recorded_critiques import recorded_rows
from support.workflow_runs import Project, jobs_done, rows_computed, tiny_config

DRAWN = {"max_new_tokens": 24, "temperature": 1.0}
PROMPTS = [f"Say something about the number {number}." for number in range(6)]
PAIRS = [
    {"input": f"Is {number} even?", "output_1": "Yes, it is.", "output_2": "No.", "label": 1}
    for number in range(8)
]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path) -> Project:
    """A project whose judge has judged each response once."""
    config = tiny_config(
        *(tiny_model, minilm),
        dialogues={"actor": "tiny", "candidates": 2, "sampling": DRAWN},
        judges={
            "twice": {"model": "tiny", "sampling": DRAWN},
            "other": {"model": "tiny", "sampling": DRAWN, "nothing_missing": "All is said"},
        },
        rewards={
            "number": {"judge": "twice", "zeta": 0.0, "rating": "rating_expected"},
            "wim": {"judge": "twice", "zeta": 1.0},
        },
        gate={"pairs": "labelled.json"},
        arms={"number": {"reward": "number"}},
    )
    project = Project.copied(tmp_path_factory.mktemp("samples") / "once", config, PROMPTS)
    (project.folder / "labelled.json").write_text(json.dumps(PAIRS))
    rows = recorded_rows(prompts=12, judgements=1, seed=3)
    (project.folder / "recorded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project.run("--", "rewards", "reward_gate")
    return project


@pytest.fixture(scope="module")
def twice(once: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """The same project, whose judge judges each response twice, and what its run said."""
    project = once.again(tmp_path_factory.mktemp("samples") / "twice")
    project.set("judges.twice.samples", 2)
    project.set("rewards.wim.at_least", 2)
    project.set("rewards.ties", {"judge": "twice", "zeta": 0.0, "ties": "lack_share"})
    head = {"judge": "other", "kind": "critique_head", "learns_from": ["r", "twice", "labelled"]}
    project.set("rewards.head", head)
    project.set(
        "study", {"recorded": {"r": {"ratings": ["recorded.jsonl"], "labels": "own.jsonl"}}}
    )
    rows = recorded_rows(prompts=12, judgements=1, seed=3)
    (project.folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return project, project.run("--", "rewards", "reward_study", "pairs")


def ratings(project: Project, judge: str) -> pd.DataFrame:
    shards = sorted((project.folder / f"results/ratings/base/{judge}").glob("*.parquet"))
    return pd.concat(map(pd.read_parquet, shards)).set_index("candidate_id").sort_index()


def test_the_first_sample_is_the_judgement_of_a_judge_with_one_and_is_not_asked_again(
    once: Project, twice: tuple[Project, str]
) -> None:
    project, output = twice
    first, second = (ratings(project, name) for name in ("twice", "twice~2"))
    pd.testing.assert_frame_equal(first, ratings(once, "twice"))
    assert first.index.equals(second.index)
    assert (first["raw"] != second["raw"]).all()
    assert second["judge"].unique() == ["twice"]
    pd.testing.assert_series_equal(
        first["nothing_missing_logprob"], second["nothing_missing_logprob"]
    )
    # Of the second sample a critique for each candidate and pair's response, and some numbers.
    candidates = len(first) + 2 * len(PAIRS)
    assert candidates <= rows_computed(output)["judged"] <= 2 * candidates
    assert jobs_done(output)["rate_samples"] == 2


def test_a_reward_of_two_samples_is_their_mean_where_enough_are_usable(
    twice: tuple[Project, str],
) -> None:
    project, _ = twice
    folder = project.folder / "results/rewards/base"
    number = pd.read_parquet(folder / "number.parquet").set_index("candidate_id").sort_index()
    samples = [ratings(project, name) for name in ("twice", "twice~2")]
    usable = pd.DataFrame(
        {
            place: each["rating_expected"].where(each["status"].isin(["ok", "nothing_missing"]))
            for place, each in enumerate(samples)
        }
    )
    expected = ((2 * usable - 11) / 9).mean(axis=1)
    assert number["reward"].dropna().tolist() == pytest.approx(expected.dropna().tolist())
    wim = pd.read_parquet(folder / "wim.parquet")
    assert set(wim["with_reward"]) <= {0, 1, 2}
    assert (wim["reward"].notna() == (wim["with_reward"] == 2)).all()
    assert [each["member"] for each in wim["members"][0]] == ["1", "2"]
    pairs = pd.read_parquet(project.folder / "results/pairs/number/round1.parquet")
    assert set(pairs["chosen_id"]) <= set(number.index)


def test_a_head_is_fitted_and_its_report_states_the_split(twice: tuple[Project, str]) -> None:
    project, _ = twice
    folder = project.folder / "results"
    heads = pd.read_parquet(folder / "evaluation/heads/head.parquet")
    told = json.loads((folder / "evaluation/heads/head.json").read_text())
    assert heads["fold"].tolist() == [0, 1, 2, 3, 4]
    assert {len(weights) for weights in heads["weights"]} == {384}
    assert told["split"] == "by prompt, 5 folds"
    assert set(told["folds"][0]["sources"]) <= {"r", "twice", "labelled"}
    scored = pd.read_parquet(folder / "rewards/base/head.parquet")
    usable = ratings(project, "other")["status"].isin(["ok", "nothing_missing"])
    assert scored["reward"].notna().sum() == usable.sum() > 0


def test_the_study_says_what_two_judgements_buy(twice: tuple[Project, str]) -> None:
    project, _ = twice
    told = json.loads((project.folder / "results/evaluation/study.json").read_text())
    of_gate = told["sets"]["gate: labelled.json"]["rewards"]
    assert {"number", "number x 1", "number x 2", "ties x 2", "head"} <= set(of_gate)
    assert of_gate["number x 2"]["tokens"] == pytest.approx(2 * of_gate["number x 1"]["tokens"])
    assert of_gate["number x 2"]["over_one"]["n"] == of_gate["number x 2"]["judged"]
    assert (
        "What more judgements buy" in (project.folder / "results/evaluation/study.md").read_text()
    )


def test_nothing_else_runs_again(twice: tuple[Project, str], tmp_path: Path) -> None:
    project, output = twice
    done = jobs_done(output)
    # Embeddings of the second sample, and of the other judge's critiques for the head.
    assert "generate_dialogues" not in done
    assert "label_dialogues" not in done
    assert project.planned("--", "rewards", "reward_study", "pairs") == {}
    again = project.again(tmp_path / "again")
    again.set("judges.twice.samples", 1)
    again.set("rewards.wim.at_least", 1)
    again.set("rewards.head.learns_from", ["r"])
    planned = again.planned("--", "rewards")
    assert "rate_samples" not in planned
    assert rows_computed(again.run("--", "rewards"))["judged"] == 0


def test_samples_that_would_be_the_same_are_refused(once: Project, tmp_path: Path) -> None:
    project = once.again(tmp_path / "project")
    project.set("judges.twice", {"model": "tiny", "samples": 2})
    output = project.run("-n", status=1)
    assert "2 samples at temperature 0" in output
    project.set("judges.twice.sampling", DRAWN)
    project.set("rewards.wim.at_least", 3)
    output = project.run("-n", status=1)
    assert "rewards.wim.at_least: found 3, and judges.twice.samples is 2" in output


def test_forced_samples_are_judged_again_and_no_other_judge_is(
    twice: tuple[Project, str], tmp_path: Path
) -> None:
    project = twice[0].again(tmp_path / "project")
    before = project.results()
    forced = project.call([sys.executable, "-m", "wim.cli", "force", "rate_samples"])
    assert forced.returncode == 0, forced.stdout + forced.stderr
    assert project.planned("--", "ratings") == {"rate_samples": 1}
    output = project.run("--", "ratings")
    assert jobs_done(output) == {"rate_samples": 1}
    rows = len(ratings(project, "twice"))
    # A critique of each sample; numbers only of those that are usable.
    assert 2 * rows <= rows_computed(output)["judged"]
    assert project.results() == before
