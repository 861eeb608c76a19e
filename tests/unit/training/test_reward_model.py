"""Reward models: what they learn, how far their probabilities can be believed, and as judges."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from support.builders import candidate, pair, user, write_pairs
from wim.errors import UserError
from wim.evaluation.calibration import calibration
from wim.settings.load import load_config
from wim.settings.reward_models import RewardModelSettings


def test_a_coin_is_calibrated_and_right_half_of_the_time() -> None:
    found = calibration([0.0] * 10, 10)
    assert (found.accuracy, found.expected_calibration_error) == (0.5, 0.0)
    assert found.log_loss == pytest.approx(math.log(2))
    assert found.brier == pytest.approx(0.25)
    assert [each.pairs for each in found.bins] == [10] + [0] * 9


def test_the_error_is_the_distance_of_confidence_and_accuracy_over_the_bins() -> None:
    """Four pairs at 0.75, three of them right: no error. Two at 0.95, none right: 0.95."""
    sure, sober = math.log(0.95 / 0.05), math.log(3)
    right = calibration([sober] * 3 + [-sober], 10)
    assert right.expected_calibration_error == pytest.approx(0.0, abs=1e-12)
    both = calibration([sober] * 3 + [-sober] + [-sure] * 2, 10)
    assert both.expected_calibration_error == pytest.approx(2 / 6 * 0.95)
    assert both.accuracy == pytest.approx(0.5)
    full = [each for each in both.bins if each.pairs]
    assert [(each.pairs, each.observed) for each in full] == [(4, 0.75), (2, 0.0)]
    assert [each.predicted for each in full] == pytest.approx([0.75, 0.95])
    assert all(each.low <= (each.predicted or 0) <= each.high for each in full)


def test_no_pairs_give_no_calibration() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        calibration([], 10)


def test_a_number_that_is_none_or_a_conversation_too_long_is_an_error_and_no_label() -> None:
    from wim.engines.reward_model_engine import Score
    from wim.judging.reward_model import RewardModelJudge
    from wim.settings.judging import JudgeSettings

    class Scores:
        def scores(self, conversations: Any) -> list[Score]:
            return [Score(value, 9) for value in (0.5, None, math.nan)]

    settings = JudgeSettings(model="x", method="reward_model")
    judge = RewardModelJudge("rm", Scores(), settings, "digest")  # type: ignore[arg-type]
    good, long, odd = judge.rate([candidate()] * 3)
    assert (good.status, good.rating_expected) == ("ok", 0.5)
    assert [(each.status, each.rating_expected) for each in (long, odd)] == [("error", None)] * 2
    assert "exceeds the context" in long.raw and odd.raw == "nan"


def test_a_model_of_several_labels_is_no_reward_model(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from wim.engines.reward_model_engine import ScoringModel

    AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=3).save_pretrained(
        tmp_path
    )
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="3 labels"):
        ScoringModel(tmp_path, "float32")


def test_it_learns_what_there_is_to_learn(tiny_model: Path, tmp_path: Path) -> None:
    from wim.engines.reward_model_engine import Conversation, ScoringModel
    from wim.engines.turn_format import Turn
    from wim.models.stage import stage_model
    from wim.settings.models import ModelSource
    from wim.training.reward_model import train_reward_model
    from wim.training.run.setup import Run

    stage_model(ModelSource(source=f"path:{tiny_model}"), tmp_path / "tiny")
    answers = {"chosen": "Bread needs water, flour and time.", "rejected": "The train leaves."}
    rows = [
        pair(
            **answers,
            prompt_id=f"{number}",
            prompt=user(f"Number {number}?"),
            split="eval" if number < 6 else "train",
        )
        for number in range(22)
    ]
    write_pairs(tmp_path / "pairs.parquet", rows)
    settings = {"arm": "x", "batch_size": 4, "epochs": 4.0, "learning_rate": 3e-3}
    train_reward_model(
        pairs=tmp_path / "pairs.parquet",
        settings=RewardModelSettings.model_validate({**settings, "precision": "float32"}),
        name="one",
        upstream_settings={},
        run=Run(tmp_path / "tiny/manifest.json", 0, 4, tmp_path / "store", 300, tmp_path / "out"),
    )
    told = json.loads((tmp_path / "out/evaluation.json").read_text())["held_out"]
    assert told["pairs"] == 6 and told["accuracy"] == 1.0
    assert told["log_loss"] < 0.5 * math.log(2)

    # The merged model that was written says the same as the one that was measured.
    judge = ScoringModel(tmp_path / "out", "float32", batch_size=8)
    asked = [tuple(rows[number]["prompt"]) for number in range(6)]
    sides = [Conversation(prompt, Turn(text)) for text in answers.values() for prompt in asked]
    scores = dict(judge.scores(sides))
    margins = [
        float(scores[place].value or 0) - float(scores[place + 6].value or 0) for place in range(6)
    ]
    assert calibration(margins, 10).log_loss == pytest.approx(told["log_loss"], abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"reward_models": {"a": {"arm": "x"}}}, ["reward_models.a.arm", "'x'", "wim"]),
        (
            {"judges": {"smollm2": {"model": "none", "method": "reward_model"}}},
            ["judges.smollm2.model", "'none'"],
        ),
        (
            {"judges": {"smollm2": {"model": "smollm2", "method": "reward_model"}}},
            ["rewards.wim.kind", "judges.smollm2 is a reward model", "kind: reward_model"],
        ),
        (
            {"rewards": {"wim": {"judge": "smollm2", "kind": "reward_model"}}},
            ["rewards.wim.kind", "needs a judge of the method reward_model"],
        ),
        (
            {"judges": {"smollm2": {"model": "a", "method": "reward_model", "attempts": 2}}},
            ["judges.smollm2", "ignores attempts"],
        ),
    ],
)
def test_what_does_not_fit_a_reward_model_is_refused(
    settings: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UserError) as refused:
        load_config(settings)
    for each in words:
        assert each in str(refused.value)
