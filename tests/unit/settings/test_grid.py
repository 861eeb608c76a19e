"""A grid is written out as arms whose names say what differs, and refused where they cannot."""

from typing import Any

import pytest

from wim.errors import UserError
from wim.settings.config import Config
from wim.settings.grid import points
from wim.settings.load import load_config


def config(grid: Any, **more: Any) -> Config:
    return load_config({"grid": grid, **more})


def refusal(grid: Any, **more: Any) -> str:
    with pytest.raises(UserError) as refused:
        config(grid, **more)
    return str(refused.value)


def test_every_combination_becomes_an_arm_named_by_what_differs() -> None:
    axes = {
        "reward": ["wim", "mixed"],
        "training.loss": ["sigmoid", "ipo"],
        "training.beta": [0.1, 0.5],
        "training.epochs": 2,
    }
    found = config({"main": axes})
    assert list(found.arms) == [
        "main-wim-sigmoid-beta0.1",
        "main-wim-sigmoid-beta0.5",
        "main-wim-ipo-beta0.1",
        "main-wim-ipo-beta0.5",
        "main-mixed-sigmoid-beta0.1",
        "main-mixed-sigmoid-beta0.5",
        "main-mixed-ipo-beta0.1",
        "main-mixed-ipo-beta0.5",
    ]
    arm = "main-mixed-ipo-beta0.5"
    training = found.arm_training(arm)
    assert (training.loss, training.beta, training.epochs) == ("ipo", 0.5, 2)
    assert found.arms[arm].reward == "mixed"


@pytest.mark.parametrize(
    ("key", "values", "names"),
    [
        ("training.learning_rate", [1e-6, "5e-6"], ["g-lr1e-06", "g-lr5e-06"]),
        ("training.lora", [None, {"rank": 8}], ["g-lora-none", "g-lora-rank8"]),
        (
            "training.loss",
            ["sigmoid", {"sigmoid": 0.8, "lrml": 0.2}],
            ["g-sigmoid", "g-sigmoid0.8-lrml0.2"],
        ),
        ("training.lora.target_modules", ["all-linear", ["q", "v"]],
         ["g-target_modules-all-linear", "g-target_modules-q_v"]),
        ("training.wpo_weighting", [True, False],
         ["g-wpo_weighting-true", "g-wpo_weighting-false"]),
        ("pairs.select", ["all", "best_worst"], ["g-select-all", "g-select-best_worst"]),
        ("seed", [0, 1], ["g-seed0", "g-seed1"]),
    ],
)  # fmt: skip
def test_any_setting_can_be_an_axis(key: str, values: list[Any], names: list[str]) -> None:
    assert list(config({"g": {"reward": "wim", key: values}}).arms) == names


def test_a_value_that_is_no_list_is_the_same_in_all_arms_and_in_no_name() -> None:
    found = config({"g": {"reward": "wim", "training": {"epochs": 3}, "training.beta": [0.1, 0.2]}})
    assert {found.arm_training(arm).epochs for arm in found.arms} == {3}
    assert list(found.arms) == ["g-beta0.1", "g-beta0.2"]


def test_zeta_writes_the_rewards_out_too() -> None:
    found = config({"g": {"reward": "mixed", "zeta": [0.2, 0.6]}})
    assert {name: arm.reward for name, arm in found.arms.items()} == {
        "g-zeta0.2": "mixed-zeta0.2",
        "g-zeta0.6": "mixed-zeta0.6",
    }
    assert found.rewards["mixed-zeta0.6"].zeta == 0.6
    assert found.rewards["mixed"].zeta == 0.4


def test_a_seed_is_of_one_arms_training_and_the_run_has_its_own() -> None:
    found = config({"g": {"reward": "wim", "seed": [3, 4]}}, seed=7, arms={"a": {"reward": "wim"}})
    assert {arm: found.arm_seed(arm) for arm in found.arms} == {"a": 7, "g-seed3": 3, "g-seed4": 4}


def test_grids_stand_beside_the_arms_that_are_written_and_replace_the_default_one() -> None:
    grid = {"g": {"reward": "wim", "seed": [0, 1]}}
    assert list(config(grid).arms) == ["g-seed0", "g-seed1"]
    assert list(config(grid, arms={"a": {"reward": "wim"}}).arms) == ["a", "g-seed0", "g-seed1"]


def test_axes_are_the_keys_that_have_several_values() -> None:
    (one, other) = points("g", {"reward": ["wim"], "training.beta": [0.1, 0.2]})
    assert (one.axes, other.axes) == ({"training.beta": 0.1}, {"training.beta": 0.2})


@pytest.mark.parametrize(
    ("grid", "line"),
    [
        (
            {"g": {"reward": "wim", "training.bta": [1, 2]}},
            "config: grid.g.training.bta: unknown key; did you mean 'training.beta'?",
        ),
        (
            {"g": {"reward": "wim", "training.beta": [0.1, -2], "seed": [0, 1]}},
            "config: grid.g.training.beta: found -2; write a number, above 0.",
        ),
        (
            {"g": {"reward": "wim", "seed": []}},
            "config: grid.g.seed: found []; write at least one value.",
        ),
        ({"g": {"reward": "wim", "seed": [1, 1]}}, "'g-seed1'"),
        ({"g": {"reward": "wim", "training.loss": ["sigmoid/x", "sigmoid x"]}}, "'g-sigmoid-x'"),
        ({"g h": {"reward": "wim"}}, "config: grid: found 'g h'; write a name"),
        ({"g": 3}, "config: grid.g: found 3; write keys of an arm"),
        ({"g": {"reward": "wmi", "zeta": [0.1, 0.2]}}, "config: grid.g.reward: found 'wmi'"),
        ({"g": {"reward": ["wim", "x"]}, "g-wim": {"reward": "wim"}}, "'g-wim' is there already"),
    ],
)
def test_what_makes_no_arm_is_told_once_of_the_grid(grid: Any, line: str) -> None:
    said = refusal(grid)
    assert line in said
    assert len(said.splitlines()) == 1


def test_an_arm_may_not_be_called_as_a_checkpoint_is() -> None:
    assert "arms.wim-round2: found a name" in refusal({}, arms={"wim-round2": {"reward": "wim"}})
