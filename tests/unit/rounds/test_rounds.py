"""Rounds: their settings, the prompts of each, and when an arm has converged."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.builders import pair, prompt, write_pairs
from wim.errors import UserError
from wim.prompts.splits import slice_of
from wim.rounds.convergence import check_convergence
from wim.rounds.select import select_prompts
from wim.settings.load import load_config
from wim.settings.rounds import StopSettings
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import PROMPTS


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
        (
            {"rounds": {"slices": 3}},
            "arms.a.rounds.slices: it has an effect only with prompts: fresh",
        ),
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


def test_a_checkpoint_cannot_replace_a_judge_that_its_reward_does_not_read() -> None:
    arms = {"a": {"reward": "lot", "rounds": {"count": 2, "judge": "self"}}}
    with pytest.raises(UserError, match=r"arms\.a\.rounds\.judge: found self.*reads no judge"):
        load_config({"rewards": {"lot": {"kind": "random"}}, "arms": arms})


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


PROMPT_IDS = [f"{number:032x}" for number in range(60)]


def selected(folder: Path, number: int, slices: int | None, *verdicts: Path) -> set[str]:
    shard, output = folder / "shard.parquet", folder / "selected.parquet"
    rows = [
        prompt(prompt_id, split="train" if place % 5 else "eval")
        for place, prompt_id in enumerate(PROMPT_IDS)
    ]
    write_table(shard, PROMPTS, as_arrow(PROMPTS, rows))
    select_prompts(shard, verdicts, number, slices, output)
    return set(read_table(output, PROMPTS, ["prompt_id"])["prompt_id"].to_pylist())


def test_fresh_slices_share_the_prompts_to_train_on_and_all_have_those_held_out(
    tmp_path: Path,
) -> None:
    held_out = set(PROMPT_IDS[::5])
    slices = [selected(tmp_path, number, 3) for number in (1, 2, 3)]
    assert all(held_out < part for part in slices)
    trained = [part - held_out for part in slices]
    assert set.union(*trained) | held_out == selected(tmp_path, 1, None)
    assert sum(map(len, trained)) == 48
    assert min(map(len, trained)) > 5


def test_a_slice_depends_on_the_prompt_alone() -> None:
    assert [slice_of(prompt_id, 3) for prompt_id in PROMPT_IDS[:6]] == [
        slice_of(f"{each:032x}", 3) for each in range(6)
    ]
    assert {slice_of(f"{each:032x}", 1) for each in range(20)} == {1}


# Convergence


def round_files(folder: Path, number: int, margin: float, accuracy: float) -> tuple[Path, Path]:
    """A round's pairs of one margin, and its metrics."""
    row = pair(score_chosen=margin, margin=margin)
    pairs, metrics = folder / f"round{number}.parquet", folder / f"round{number}.jsonl"
    write_pairs(pairs, [row])
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
