"""Training with each loss: TRL's own go through TRL, ours are added to what it computes."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest

from support.preference_training import (
    ROWS,
    Loaded,
    history,
    loaded,
    settings_of,
    trained,
    trainer_for,
)
from wim.errors import UserError
from wim.settings.losses import LOSSES
from wim.settings.training import LoraSettings

__all__ = ["loaded"]
REVERSED = [
    {
        **row,
        "chosen": row["rejected"],
        "rejected": row["chosen"],
        "prompt_id": f"{row['prompt_id']}r",
    }
    for row in ROWS
]
METRICS = {
    *("loss", "grad_norm", "learning_rate", "entropy", "num_tokens", "mean_token_accuracy"),
    *(f"{kind}/{which}" for kind in ("logits", "logps") for which in ("chosen", "rejected")),
    *(f"rewards/{which}" for which in ("chosen", "rejected", "accuracies", "margins")),
    *("epoch", "step"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_a_step_with_the_metrics_of_trl(
    loaded: Loaded, tmp_path: Path, loss: str
) -> None:
    trainer = trainer_for(loaded, tmp_path, settings_of(loss), 1)
    weights = {name: each.clone() for name, each in trainer.model.named_parameters()}
    trainer.train()
    (row,) = (row for row in trainer.state.log_history if "loss" in row)
    assert set(row) == METRICS
    assert math.isfinite(row["loss"]) and row["grad_norm"] > 0
    moved = {
        name for name, each in trainer.model.named_parameters() if not each.equal(weights[name])
    }
    assert moved and all("lora" in name for name in moved)


SAME = [
    pytest.param("hinge", "slic", {}, id="hinge"),
    pytest.param("discopop", "lrml", {}, id="discopop"),
    pytest.param("discopop", "lrml", {"tau": 0.3, "beta": 0.5}, id="tau"),
    pytest.param("hinge", "slic", {"ld_alpha": 0.3}, id="length-desensitised"),
    pytest.param("hinge", "slic", {"f_divergence": "forward_kl"}, id="forward KL"),
    pytest.param("hinge", "slic", {"f_divergence": "js_divergence"}, id="Jensen-Shannon"),
    pytest.param(
        "discopop",
        "lrml",
        {"f_divergence": "alpha_divergence", "f_divergence_alpha": 0.7, "ld_alpha": 0.5},
        id="alpha divergence, length-desensitised",
    ),
    pytest.param("discopop", "lrml", {"wpo_weighting": True}, id="weighted by the policy"),
    pytest.param("hinge", "slic", {"lora": None, "learning_rate": 3e-4}, id="all weights"),
    pytest.param(
        {"sigmoid": 0.8, "hinge": 0.2}, {"sigmoid": 0.8, "slic": 0.2}, {}, id="with TRL's sigmoid"
    ),
    pytest.param(
        {"hinge": 0.5, "discopop": 2}, {"slic": 0.5, "lrml": 2}, {}, id="two of ours"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("of_trl", "ours", "options"), SAME)
def test_first_losses_of_ours_are_those_of_trl_where_it_has_the_same(
    loaded: Loaded,
    tmp_path: Path,
    of_trl: str | dict[str, float],
    ours: str | dict[str, float],
    options: dict[str, Any],
) -> None:
    rows = [history(loaded, tmp_path, settings_of(loss, **options)) for loss in (of_trl, ours)]
    (expected, found) = ([(row["loss"], row["grad_norm"]) for row in each] for each in rows)
    assert len({loss for loss, _ in expected}) == 3, "the policy never left the reference"
    assert [loss for loss, _ in found] == pytest.approx([loss for loss, _ in expected], abs=1e-5)
    assert [norm for _, norm in found] == pytest.approx([norm for _, norm in expected], rel=1e-3)
    assert [row["rewards/margins"] for row in rows[0]] == pytest.approx(
        [row["rewards/margins"] for row in rows[1]], abs=1e-5
    )


def test_reference_log_probabilities_computed_before_give_the_same_losses(
    loaded: Loaded, tmp_path: Path
) -> None:
    settings = settings_of("lrml", ld_alpha=0.5)
    rows = [
        history(loaded, tmp_path, settings, precompute_ref_log_probs=before)
        for before in (False, True)
    ]
    assert [row["loss"] for row in rows[0]] == pytest.approx([row["loss"] for row in rows[1]])


def test_conservative_dpo_of_single_pairs_is_trls_aot_of_one(
    loaded: Loaded, tmp_path: Path
) -> None:
    rows = [
        history(loaded, tmp_path, settings_of(loss, label_smoothing=0.2),
                per_device_train_batch_size=1)
        for loss in ("aot", "cdpo")
    ]  # fmt: skip
    assert [row["loss"] for row in rows[0]] == pytest.approx(
        [row["loss"] for row in rows[1]], abs=1e-5
    )


def test_held_out_pairs_have_our_loss_too(loaded: Loaded, tmp_path: Path) -> None:
    trainer = trainer_for(loaded, tmp_path, settings_of("cell"), 1, eval_strategy="steps")
    before = trainer.evaluate()["eval_loss"]
    assert before == pytest.approx((math.log(2) + 1) / 2, abs=1e-6)
    trainer.train()
    assert trainer.evaluate()["eval_loss"] != before


def test_an_infinite_loss_stops_with_the_step_the_pairs_and_what_to_try(
    loaded: Loaded, tmp_path: Path
) -> None:
    settings = settings_of("cell", beta=1e5, max_length=10)
    trainer = trainer_for(loaded, tmp_path, settings, 8, rows=ROWS + REVERSED)
    with pytest.raises(UserError) as error:
        trainer.train()
    message = str(error.value)
    assert f"the loss is inf at step {trainer.state.global_step + 1}, with loss cell" in message
    assert "a lower learning_rate (now 0.003)" in message
    assert "a smaller beta (now 100000), as cell grows exponentially" in message
    ids = [(row["prompt_id"], row["chosen_id"], row["rejected_id"]) for row in ROWS + REVERSED]
    named = [each for each in ids if "prompt {} (chosen {}, rejected {})".format(*each) in message]
    assert len(named) == 4


def test_a_gradient_that_is_no_number_stops_before_its_weights_are_saved(
    loaded: Loaded, tmp_path: Path
) -> None:
    trainer = trainer_for(
        loaded, tmp_path, settings_of("sigmoid"), 3, save_strategy="steps", save_steps=1
    )
    weight = next(each for each in trainer.model.parameters() if each.requires_grad)
    weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(UserError, match="the gradient is nan at step 1, with loss sigmoid"):
        trainer.train()
    assert not list(tmp_path.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("loss", "tau", "parts"),
    [
        (
            "lrml",
            None,
            ["between -1.186 and 0.72", "starts inside", "of the first 4 training pairs seen, 100%",
             "a tau of 0.11"],
        ),
        ("discopop", 0.105, ["loss discopop", "starts above it, at 0", "0% were inside"]),
        ({"lrml": 0.6, "sft": 0.1, "sigmoid": 0.4}, None, ["starts inside", "(left out of this: s"]),
        ({"lrml": 0.2, "sigmoid": 0.8}, None, []),
        ("lrml", 0.2, []),
        ("sigmoid", None, []),
    ],
)  # fmt: skip
def test_pairs_in_the_basin_of_discopop_are_warned_of_once(
    loaded: Loaded,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    loss: str | dict[str, float],
    tau: float | None,
    parts: list[str],
) -> None:
    caplog.set_level(logging.INFO, "wim.training")
    history(loaded, tmp_path, settings_of(loss, tau=tau), steps=1)
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    ends = [each.getMessage() for each in caplog.records if "at the end" in each.getMessage()]
    assert len(warnings) == len(ends) == bool(parts)
    for part in parts:
        assert part in warnings[0]


def test_descent_takes_pairs_to_the_local_minimum_as_the_warning_says(
    loaded: Loaded, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wim.training")
    settings = settings_of("lrml", lora=LoraSettings(rank=4), learning_rate=5e-4)
    rows = history(loaded, tmp_path, settings, steps=24)
    assert rows[-1]["rewards/margins"] < 0 and rows[-1]["rewards/accuracies"] < 0.5
    (warning,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert "of the first 32 training pairs seen" in warning.getMessage()
    assert "at the end: of the last 32 training pairs seen" in caplog.records[-1].getMessage()


def test_a_mixture_of_the_configuration_becomes_a_checkpoint(
    tiny_model: Path, tmp_path: Path
) -> None:
    settings = settings_of(
        {"sigmoid": 0.8, "lrml": 0.2}, beta=0.1, precision="float32", warmup=0.0, batch_size=4
    )
    checkpoint = trained(tiny_model, tmp_path, settings)
    lines = (checkpoint / "metrics.jsonl").read_text().splitlines()
    losses = [row["loss"] for row in map(json.loads, lines) if "loss" in row]
    assert losses[0] == pytest.approx(0.8 * math.log(2) + 0.1 * (math.log(2) + 1), abs=1e-6)
    story = json.loads((checkpoint / "provenance.json").read_text())
    assert story["settings"]["training"]["loss"] == {"sigmoid": 0.8, "lrml": 0.2}
