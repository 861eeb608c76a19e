"""The bandit: its published figures, and what it is to show."""

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wim.errors import UserError
from wim.experiments.bandit.learning import (
    expected_preferences,
    imitation,
    peaked,
    preference_optimised,
    regularised,
    reward_model,
    sampled_preferences,
)
from wim.experiments.bandit.run import bandit
from wim.settings.bandit import BanditSettings
from wim.settings.load import load_config

ARMS = np.arange(100)
STUDENT, TEACHER = (peaked(100, peak, 300.0) for peak in (40.0, 80.0))


@cache
def population_rewards() -> np.ndarray:
    return reward_model(expected_preferences(STUDENT), 0.01, 7500)


def test_the_population_has_the_figures_of_the_published_experiment() -> None:
    rewards = population_rewards()
    assert float(STUDENT @ ARMS) == pytest.approx(40.0205, abs=1e-3)
    assert float(TEACHER @ ARMS) == pytest.approx(78.5440, abs=1e-3)
    assert np.ptp(rewards) == pytest.approx(1.45646, abs=1e-5)
    assert (rewards.argmax(), rewards.argmin()) == (52, 28)
    policy = regularised(STUDENT, rewards, 0.1)
    assert policy @ ARMS == pytest.approx(51.8378, abs=1e-3)
    assert (policy.argmax(), policy.max()) == (52, pytest.approx(0.13056, abs=1e-5))
    taught = imitation(TEACHER, 0.01, 15_000)
    assert taught @ ARMS == pytest.approx(70.689, abs=1e-3)
    assert taught.argmax() == 80
    beyond = [float(each[ARMS > 70].sum()) for each in (STUDENT, policy, taught)]
    assert beyond == pytest.approx([0.00637, 5.2e-5, 0.6633], rel=0.01)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sampled_run_is_near_the_population(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rewards = reward_model(sampled_preferences(STUDENT, 250_000, generator), 0.01, 7500)
    policy = regularised(STUDENT, rewards, 0.1)
    assert policy @ ARMS == pytest.approx(51.8378, abs=0.15)


def test_no_beta_takes_feedback_out_of_the_support_of_its_samples() -> None:
    for beta in (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0):
        policy = regularised(STUDENT, population_rewards(), beta)
        assert policy @ ARMS < 53
        if beta <= 1:
            assert policy[ARMS > 70].sum() < STUDENT[ARMS > 70].sum()


@pytest.mark.parametrize("beta", [0.05, 1.0])
def test_dpo_on_the_same_pairs_comes_to_the_closed_form(beta: float) -> None:
    preferred = expected_preferences(STUDENT)
    closed = regularised(STUDENT, reward_model(preferred, 0.01, 500), beta)
    trained = preference_optimised(STUDENT, preferred, beta, 0.01, 500)
    known = STUDENT > 1e-4
    assert np.abs(np.log(trained[known]) - np.log(closed[known])).max() < 1e-9


def test_pairs_of_one_arm_teach_nothing_and_count() -> None:
    policy = np.array([0.0, 1.0, 0.0])
    drawn = sampled_preferences(policy, 100, np.random.default_rng(0))
    assert not drawn.any()
    assert not reward_model(drawn, 0.1, 10).any()
    half = sampled_preferences(np.array([0.5, 0.5, 0.0]), 10_000, np.random.default_rng(0))
    assert half[1, 0] == pytest.approx(0.5, abs=0.02)
    assert half.sum() == half[1, 0]


def run(folder: Path, **settings: object) -> dict:
    small = {"arms": 12, "student": 3.0, "teacher": 9.0, "width": 6.0, "beyond": 8.0}
    steps = {"reward_steps": 50, "sft_steps": 50, "pairs": 500, "teacher_samples": 500}
    files = {
        name: str(folder / f"bandit.{suffix}")
        for name, suffix in (("table", "json"), ("text", "md"), ("figure", "svg"))
    }
    bandit(BanditSettings.model_validate({**small, **steps, **settings}), SimpleNamespace(**files))
    return json.loads((folder / "bandit.json").read_text())


def test_the_table_has_every_arm_of_the_experiment_and_the_same_bytes(tmp_path: Path) -> None:
    found = run(tmp_path, betas=[0.2, 2.0], seeds=[7, 8], rounds=3)
    population = found["runs"]["population"]
    beside = {
        f"{name} {beta}" for name in ("rlaif", "dpo", "sft, then rlaif") for beta in ("0.2", "2")
    }
    rounds = {"rlaif 0.2, round 2", "rlaif 0.2, round 3"}
    assert set(population["policies"]) == {"student", "teacher", "sft"} | beside | rounds
    assert set(found["runs"]) == {"population", "seed 7", "seed 8"}
    assert found["runs"]["seed 7"] != found["runs"]["seed 8"]
    reward = {name: one["reward"] for name, one in population["policies"].items()}
    assert reward["student"] < reward["rlaif 0.2"] < reward["sft, then rlaif 0.2"]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run(tmp_path, betas=[0.2, 2.0], seeds=[7, 8], rounds=3)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_population_alone_has_a_page(tmp_path: Path) -> None:
    found = run(tmp_path, betas=[0.5], seeds=[], rounds=0)
    assert list(found["runs"]) == ["population"]
    assert "| student |" in (tmp_path / "bandit.md").read_text()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"betas": []}, "bandit.betas: found []; write at least one"),
        ({"betas": [0.1, 0.1]}, "write each once"),
        ({"student": 200}, "student is no arm; write a number from 0 to 99"),
        ({"betas": [0]}, "bandit.betas: found [0]"),
    ],
)
def test_settings_that_make_no_experiment_are_refused(settings: dict, told: str) -> None:
    with pytest.raises(UserError) as refused:
        load_config({"bandit": settings})
    assert told in str(refused.value)
