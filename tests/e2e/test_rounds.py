"""Rounds: each takes the checkpoint before as the actor, on its prompts, until it has converged."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from support.planning import plan
from support.workflow_runs import Project, job_counts, tiny_config
from wim.errors import UserError
from wim.prompts.splits import slice_of
from wim.rounds.convergence import check_convergence
from wim.rounds.select import select_prompts
from wim.settings.load import load_config
from wim.settings.rounds import StopSettings
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import PAIRS, PROMPTS, Prompt

PROMPTS_OF_RUN = [
    "Name a river.",
    "How is bread made?",
    "Why does it rain?",
    "When does the train leave?",
    "What does a ticket cost?",
    "Who wrote the answer?",
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


def refusal(**config: Any) -> str:
    with pytest.raises(UserError) as refused:
        load_config(config)
    return str(refused.value)


# Settings


def test_rounds_may_be_a_number_and_an_arm_may_set_them_otherwise() -> None:
    arms = {"a": {"reward": "wim"}, "b": {"reward": "wim", "rounds": {"reference": "initial"}}}
    config = load_config({"rounds": 3, "arms": {**arms, "c": {"reward": "wim", "rounds": 1}}})
    counts = {arm: config.arm_rounds(arm).count for arm in config.arms}
    assert counts == {"a": 3, "b": 3, "c": 1}
    assert config.arm_rounds("b").reference == "initial"


def test_a_round_may_have_settings_of_its_own() -> None:
    own = {2: {"training": {"beta": 0.3}, "pairs": {"ties": "first"}}}
    arm = {"reward": "wim", "rounds": 2, "training": {"epochs": 2}, "by_round": own}
    config = load_config({"arms": {"a": arm}})
    assert (config.arm_training("a", 1).beta, config.arm_training("a", 2).beta) == (0.1, 0.3)
    assert config.arm_training("a", 2).epochs == 2
    assert (config.arm_pairs("a").ties, config.arm_pairs("a", 2).ties) == ("drop", "first")


@pytest.mark.parametrize(
    ("arm", "line"),
    [
        ({"rounds": 0}, "arms.a.rounds.count: found 0; write an integer from 1 to 99."),
        ({"rounds": {"cuont": 2}}, "arms.a.rounds.cuont: unknown key; did you mean 'count'?"),
        ({"by_round": {3: {}}}, "arms.a.by_round.3: there is no such round"),
        ({"by_round": {"x": {}}}, "arms.a.by_round.x: found 'x'; write an integer."),
        ({"by_round": {1: {"training": {"bta": 1}}}}, "arms.a.by_round.1.training.bta: unknown"),
        ({"rounds": {"slices": 3}}, "arms.a.rounds.slices: it acts with prompts: fresh alone"),
        (
            {"rounds": {"count": 3, "prompts": "fresh", "slices": 2}},
            "arms.a.rounds.slices: found 2 for 3 rounds",
        ),
    ],
)
def test_rounds_that_do_not_fit_are_refused_in_one_line(arm: dict[str, Any], line: str) -> None:
    said = refusal(arms={"a": {"reward": "wim", **arm}})
    assert line in said
    assert len(said.splitlines()) == 1


def test_an_arm_that_a_comparison_labels_has_one_round() -> None:
    said = refusal(
        judges={"pairs": {"model": "smollm2", "method": "pairwise"}},
        rewards={},
        comparisons={"duel": {"judge": "pairs"}},
        arms={"a": {"comparison": "duel", "rounds": 2}},
    )
    assert "arms.a.rounds: an arm that a comparison labels" in said


def test_a_checkpoint_that_judges_itself_runs_as_the_actor_does() -> None:
    arms = {"a": {"reward": "wim", "rounds": {"count": 2, "judge": "self"}}}
    config = load_config(
        {
            "models": {"other": {"source": "path:x"}},
            "judges": {"smollm2": {"model": "other"}},
            "arms": {**arms, "b": {"reward": "wim", "rounds": 2}},
        }
    )
    judging = {
        policy: config.judge_model("smollm2", policy) for policy in ("base", "a-round1", "b-round1")
    }
    other, actor = config.models["other"], config.models["smollm2"]
    assert judging == {"base": other, "a-round1": actor, "b-round1": other}


# Prompts of a round


def prompt(number: int, split: str = "train") -> Prompt:
    return Prompt(
        f"{number:032x}", [{"role": "user", "content": str(number)}], split, "s", None, None
    )


def selected(folder: Path, number: int, slices: int | None, *verdicts: Path) -> set[str]:
    shard, output = folder / "shard.parquet", folder / "selected.parquet"
    rows = [prompt(each, "eval" if each % 5 == 0 else "train") for each in range(60)]
    write_table(shard, PROMPTS, as_arrow(PROMPTS, rows))
    select_prompts(shard, verdicts, number, slices, output)
    return set(read_table(output, PROMPTS, ["prompt_id"])["prompt_id"].to_pylist())


def test_fresh_slices_share_the_prompts_to_train_on_and_all_have_those_held_out(
    tmp_path: Path,
) -> None:
    held_out = {prompt(each).prompt_id for each in range(0, 60, 5)}
    slices = [selected(tmp_path, number, 3) for number in (1, 2, 3)]
    assert all(held_out < part for part in slices)
    trained = [part - held_out for part in slices]
    assert set.union(*trained) | held_out == selected(tmp_path, 1, None)
    assert sum(map(len, trained)) == 48
    assert min(map(len, trained)) > 5


def test_a_slice_depends_on_the_prompt_alone() -> None:
    assert [slice_of(prompt(each).prompt_id, 3) for each in range(6)] == [
        slice_of(f"{each:032x}", 3) for each in range(6)
    ]
    assert {slice_of(f"{each:032x}", 1) for each in range(20)} == {1}


# Convergence


def round_files(folder: Path, number: int, margin: float, accuracy: float) -> tuple[Path, Path]:
    """A round's pairs of one margin, and its metrics."""
    said = [{"role": "assistant", "content": "text"}]
    texts = dict.fromkeys(("prompt_id", "chosen_id", "rejected_id", "judge", "reward"), "x")
    row = {
        **texts,
        **dict.fromkeys(("prompt", "chosen", "rejected"), said),
        **{"split": "train", "chosen_model": "m", "rejected_model": "m"},
        **{"score_chosen": margin, "score_rejected": 0.0, "margin": margin},
    }
    pairs, metrics = folder / f"round{number}.parquet", folder / f"round{number}.jsonl"
    write_table(pairs, PAIRS, pa.Table.from_pylist([row], schema=PAIRS.schema))
    metrics.write_text(json.dumps({"eval_rewards/accuracies": accuracy, "step": 1}) + "\n")
    return pairs, metrics


@pytest.mark.parametrize(
    ("metric", "below", "stops"),
    [
        ("pair_margin", 0.2, True),
        ("pair_margin", 0.05, False),
        ("held_out_accuracy", 0.4, True),
        ("held_out_accuracy", 0.2, False),
    ],
)
def test_an_arm_stops_once_its_metric_moves_by_less_than_the_threshold(
    tmp_path: Path, metric: Any, below: float, stops: bool
) -> None:
    files = [round_files(tmp_path, 1, 0.5, 0.5), round_files(tmp_path, 2, 0.6, 0.8)]
    pairs, metrics = zip(*files, strict=True)
    stop, output = StopSettings(metric=metric, below=below), tmp_path / "verdict.json"
    check_convergence((1, 2), pairs, metrics, [], stop, output)
    verdict = json.loads(output.read_text())
    assert verdict["stop"] is stops
    assert bool(verdict["reason"]) is stops
    later = tmp_path / "later.json"
    check_convergence((2, 3), pairs, metrics, [output], stop, later)
    assert json.loads(later.read_text())["stop"] or not stops
    assert bool(selected(tmp_path, 3, None, output)) is not stops


def test_a_stopped_arm_stays_stopped(tmp_path: Path) -> None:
    before, now = tmp_path / "before.json", tmp_path / "now.json"
    before.write_text(json.dumps({"stop": True, "reason": "it has converged."}))
    check_convergence((2, 3), [], [], [before], StopSettings(below=1e-9), now)
    assert json.loads(now.read_text())["reason"] == "it has converged."


# The workflow


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


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path) -> Project:
    """A project whose arms have gone through their rounds. Tests work on copies of it."""
    sources = tmp_path_factory.mktemp("sources")
    shutil.copytree(tiny_model, sources / "tiny")
    config = tiny_config(
        *(sources / "tiny", minilm, 24),
        prompts={"files": ["prompts.jsonl"], "shards": 1, "eval_fraction": 0.3},
        dialogues={"actor": "tiny", "candidates": 4, "sampling": {"max_new_tokens": 16}},
        rewards={"wim": {"judge": "tiny", "zeta": 1.0}},
        arms=arms(),
    )
    folder = tmp_path_factory.mktemp("finished") / "project"
    project = Project.copied(folder, config, PROMPTS_OF_RUN)
    whole = job_counts(project.run("-n"))
    assert whole == {
        **{"stage_model": 2, "ingest_prompts": 1, "shard_prompts": 1, "select_prompts": 3},
        **dict.fromkeys(("generate_dialogues", "rate_candidates", "embed_critiques"), 4),
        **{"score_candidates": 4, "pair_candidates": 5, "train_dpo": 5, "check_convergence": 1},
        **{"audit_critiques": 1, "summary": 1, "rounds": 1},
    }, "a dry run from nothing shows all rounds"
    project.run()
    assert project.planned() == {}
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project that a test may change."""
    return finished.again(tmp_path / "project")


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
            {"pair_candidates": 1, "train_dpo": 1, **REPORTS},
        ),
        (
            "arms.fresh.rounds.count",
            3,
            {**LATER, "select_prompts": 1, **REPORTS},
        ),
        ("arms.fresh.rounds.count", 1, REPORTS),
        (
            "arms.fresh.rounds.reference",
            "initial",
            {"train_dpo": 1, **REPORTS},
        ),
        (
            "arms.fresh.rounds.judge",
            "initial",
            {key: 1 for key in LATER if key != "generate_dialogues"} | REPORTS,
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
