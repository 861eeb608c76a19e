"""The loss in the configuration: one name or a mixture, and options that the loss really takes."""

import re
from typing import Any, get_args

import pytest
from trl import DPOConfig

from wim.errors import UserError
from wim.settings.config import Config
from wim.settings.load import load_config
from wim.settings.losses import LOSSES, LossName
from wim.settings.own_loss import PairTrainingSettings
from wim.settings.training import LOSS_OPTIONS
from wim.training.dpo.trainer import loss_arguments
from wim.training.records.notes import notes

# The keys of the spec before losses had options.
FORMER_KEYS = {
    *("beta", "loss", "learning_rate", "scheduler", "warmup", "epochs", "batch_size", "max_length"),
    *("max_grad_norm", "weight_decay", "precision", "gradient_checkpointing", "lora"),
}


def training(**values: Any) -> PairTrainingSettings:
    return load_config({"training": values}, "mine.yaml").training


def refusal(**values: Any) -> str:
    with pytest.raises(UserError) as error:
        training(**values)
    return str(error.value)


def test_the_names_are_those_of_trl_and_ours() -> None:
    assert tuple(LOSSES) == get_args(LossName)
    told = DPOConfig.__dataclass_fields__["loss_type"].metadata["help"].split("If multiple")[0]
    of_trl = {name for name, kind in LOSSES.items() if not kind.own}
    assert set(re.findall(r"'(\w+)'", told)) == of_trl


@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "ipo"])
def test_a_spec_without_options_has_no_key_that_it_had_not_before(loss: str) -> None:
    spec = training(loss=loss).model_dump(mode="json")
    assert set(spec) == FORMER_KEYS
    assert spec["loss"] == loss
    assert PairTrainingSettings.model_validate(spec) == training(loss=loss)


def test_an_option_that_is_used_is_in_the_spec_and_comes_back_from_it() -> None:
    options: dict[str, Any] = {
        "tau": 0.2,
        "label_smoothing": 0.1,
        "f_divergence": "alpha_divergence",
        "f_divergence_alpha": 0.3,
        "ld_alpha": 0.0,
        "wpo_weighting": True,
    }
    assert set(options) == set(LOSS_OPTIONS)
    settings = training(loss={"lrml": 1, "robust": 0.5}, **options)
    spec = settings.model_dump(mode="json")
    assert {key: spec[key] for key in options} == options
    assert spec["loss"] == {"lrml": 1.0, "robust": 0.5}
    assert PairTrainingSettings.model_validate(spec) == settings


def test_a_mixture_is_the_same_in_any_order_and_may_have_weights_written_as_text() -> None:
    one = training(loss={"sigmoid": 0.8, "lrml": "2e-1"})
    other = training(loss={"lrml": 0.2, "sigmoid": 0.8})
    assert one.model_dump_json() == other.model_dump_json()
    assert one.loss_label == other.loss_label == "0.2 lrml + 0.8 sigmoid"
    assert training(loss="lrml").loss_label == "lrml"


def test_an_arms_mixture_takes_the_place_of_the_common_one() -> None:
    config = load_config(
        {
            "training": {"loss": {"sigmoid": 0.8, "lrml": 0.2}},
            "arms": {
                "same": {"reward": "wim"},
                "own": {"reward": "wim", "training": {"loss": {"cell": 1, "sft": 0.1}}},
                "one": {"reward": "wim", "training": {"loss": "ipo"}},
            },
        }
    )
    assert config.arm_training("same").loss == {"sigmoid": 0.8, "lrml": 0.2}
    assert config.arm_training("own").loss == {"cell": 1.0, "sft": 0.1}
    assert config.arm_training("one").loss == "ipo"


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"loss": "dpo"}, ["training.loss: found 'dpo'; did you mean 'sigmoid'?"]),
        ({"loss": "lrlm"}, ["found 'lrlm'; did you mean 'lrml'?"]),
        ({"loss": "kto"}, ["did you mean 'kto_pair'?"]),
        ({"loss": "xyz"}, ["training.loss: found 'xyz'; write one of sigmoid, hinge, ipo", "cdpo."]),
        ({"loss": {"sigmoid": 1, "lrlm": 1}}, ["found {'sigmoid': 1, 'lrlm': 1}; did you mean 'lr"]),
        ({"loss": {"sigmoid": 0}}, ["write the weight of sigmoid as a number above 0."]),
        ({"loss": {"sigmoid": float("inf")}}, ["write the weight of sigmoid as a number above 0."]),
        ({"loss": {"sigmoid": True}}, ["write the weight of sigmoid as a number above 0."]),
        ({"loss": {"sigmoid": None}}, ["write the weight of sigmoid as a number above 0."]),
        ({"loss": {}}, ["found {}; write the name of a loss, or names with weights such as {sig"]),
        ({"loss": 3}, ["found 3; write the name of a loss, or names with weights"]),
        ({"loss": ["sigmoid"]}, ["found ['sigmoid']; write the name of a loss, or names with"]),
        (
            {"tau": 0.2},
            ["training.tau: found 0.2; the loss sigmoid cannot use it: write null, or choose among "
             "the losses that do: discopop, dbaql, aql, aqfl, pfl, lrml."],
        ),
        ({"tau": 0, "loss": "lrml"}, ["training.tau: found 0; write a number, above 0"]),
        ({"label_smoothing": 0.1}, ["training.label_smoothing: found 0.1; the loss sigmoid cannot"]),
        ({"label_smoothing": 0.5, "loss": "cdpo"}, ["found 0.5; write a number, above 0 and below"]),
        ({"loss": "exo_pair"}, ["training.label_smoothing: found None; the loss exo_pair", "0.001"]),
        ({"loss": {"sigmoid": 1, "robust": 1}}, ["the loss robust is not defined without", "0.1 is"]),
        ({"f_divergence": "kl"}, ["found 'kl'; write one of reverse_kl, forward_kl"]),
        (
            {"f_divergence": "forward_kl", "loss": {"sigmoid": 1, "bco_pair": 1}},
            ["training.f_divergence: found 'forward_kl'; the loss bco_pair cannot use it: write rev"],
        ),
        ({"f_divergence": "forward_kl", "loss": "sft"}, ["the loss sft cannot use it"]),
        ({"f_divergence": "forward_kl", "loss": "pfl"}, ["the loss pfl cannot use it"]),
        ({"f_divergence_alpha": 0.3}, ["f_divergence_alpha: found 0.3; it has an effect only with f_divergence: a"]),
        ({"ld_alpha": 0.3, "loss": "sft"}, ["training.ld_alpha: found 0.3; the loss sft cannot use"]),
        ({"ld_alpha": 1.1}, ["training.ld_alpha: found 1.1; write a number from 0 to 1, or null."]),
        ({"wpo_weighting": True, "loss": "hinge"}, ["the loss hinge cannot", "write false", " slic,"]),
        ({"wpo_weighting": True, "loss": {"sigmoid": 1, "sft": 1}}, ["the loss sft cannot use it"]),
        ({"wpo_weighting": True, "loss": "aot"}, ["the loss aot cannot use it"]),
    ],
)  # fmt: skip
def test_a_refusal_names_key_finding_and_remedy(values: dict[str, Any], parts: list[str]) -> None:
    message = refusal(**values)
    assert message.startswith("mine.yaml: training.")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_an_option_that_an_arm_inherits_for_another_loss_is_refused_until_it_says_null() -> None:
    def arm(**own: Any) -> Config:
        arms = {"a": {"reward": "wim", "training": {"loss": "sigmoid", **own}}}
        return load_config({"training": {"loss": "lrml", "tau": 0.2}, "arms": arms})

    with pytest.raises(UserError, match=r"arms\.a\.training\.tau: found 0\.2; .* write null"):
        arm()
    assert arm(tau=None).arm_training("a").loss == "sigmoid"


@pytest.mark.parametrize(
    "values",
    [
        {"tau": 0.2, "loss": {"sigmoid": 1, "discopop": 1}},
        {"label_smoothing": 0.1, "loss": "aot"},
        {"label_smoothing": 0.1, "loss": {"sigmoid": 1, "cdpo": 1}},
        {"f_divergence": "js_divergence", "loss": {"sigmoid": 1, "sft": 0.1, "cell": 1}},
        {"ld_alpha": 0.3, "loss": {"sigmoid": 1, "sft": 0.1}},
        {"wpo_weighting": True, "loss": {"slic": 1, "kto_pair": 1}},
    ],
)
def test_an_option_that_acts_is_accepted(values: dict[str, Any]) -> None:
    assert training(**values).loss == values["loss"]


def test_trl_is_told_its_own_losses_alone_and_every_option() -> None:
    plain = loss_arguments(training())
    assert plain["loss_type"] == ["sigmoid"]
    defaults = {name: DPOConfig.__dataclass_fields__[name].default for name in plain}
    assert {name: plain[name] for name in plain if not name.startswith("loss_")} == {
        name: value for name, value in defaults.items() if not name.startswith("loss_")
    }
    mixed = loss_arguments(
        training(loss={"sigmoid": 0.8, "lrml": 0.2, "aot": 0.1}, tau=0.3, label_smoothing=0.05)
    )
    assert (mixed["loss_type"], mixed["loss_weights"]) == (["aot", "sigmoid"], [0.1, 0.8])
    assert (mixed["discopop_tau"], mixed["label_smoothing"]) == (0.3, 0.05)
    assert loss_arguments(training(loss="cell"))["loss_type"] == []


@pytest.mark.parametrize(
    ("values", "sft", "parts"),
    [
        ({}, None, []),
        ({"beta": 0.01}, None, []),
        ({"beta": 1}, None, []),
        ({"beta": 0.009}, None, ["beta 0.009 is below 0.01"]),
        ({"beta": 1.5}, None, ["beta 1.5 is above 1"]),
        ({"beta": 1.5, "loss": "sft", "batch_size": 4}, None, []),
        ({"learning_rate": 2e-7}, 2e-5, []),
        ({"learning_rate": 5e-7}, 2e-5, ["more than a hundredth of the 2e-05"]),
        ({"loss": {"dbaql": 1, "sigmoid": 1}}, None, ["dbaql: taken over the 4 pairs", "the 8 of"]),
        ({"loss": "dbaql", "batch_size": 4}, None, []),
    ],
)
def test_what_is_unusual_is_noted_with_its_reason(
    values: dict[str, Any], sft: float | None, parts: list[str]
) -> None:
    found = notes(training(**values), 4, sft)
    assert len(found) == bool(parts)
    for part in parts:
        assert part in found[0]
