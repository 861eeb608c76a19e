"""A loss of one's own in the configuration: a file or a text, told apart from names of losses."""

from pathlib import Path
from typing import Any

import pytest

from support.workflow_runs import REPOSITORY
from wim.dag.inputs import Inputs
from wim.dag.own_losses import OwnLosses
from wim.dag.training_specs import TrainingSpecs
from wim.errors import UserError
from wim.own_loss.formula import LOG_PROBABILITIES
from wim.settings.load import load_config
from wim.settings.own_loss import OwnLoss, PairTrainingSettings
from wim.settings.training import TrainingSettings

TEXT = f"def mine({', '.join(LOG_PROBABILITIES)}, beta):\n    return -beta * policy_chosen_logps"
OTHER = TEXT.replace("-beta", "-2 * beta")


def losses_of(**sections: Any) -> OwnLosses:
    return OwnLosses(Inputs(load_config(sections), REPOSITORY))


class Wildcards:
    arm, round = "wim", "1"


def spec_of(**sections: Any) -> str:
    return TrainingSpecs(Inputs(load_config(sections), REPOSITORY)).training(Wildcards())  # type: ignore[arg-type]


def test_a_text_and_a_file_of_it_are_one_training(tmp_path: Path) -> None:
    file = tmp_path / "losses.py"
    file.write_text(f"{TEXT}\n\n{TEXT.replace('mine', 'another')}")
    by_file = spec_of(training={"loss": {"file": str(file), "function": "mine"}})
    by_text = spec_of(training={"loss": {"text": file.read_text(), "function": "mine"}})
    assert by_file == by_text
    assert str(tmp_path) not in by_file and "policy_chosen_logps" in by_file
    file.write_text(file.read_text().replace("-beta", "-3 * beta"))
    assert spec_of(training={"loss": {"file": str(file), "function": "mine"}}) != by_file


def test_a_loss_of_the_workflows_own_folder_is_found() -> None:
    losses = losses_of(training={"loss": {"file": "config/losses/lrml.py"}})
    own = losses.training("wim").own_loss
    assert own is not None and own.function == "lrml" and own.label == "lrml (own)"
    assert losses.arms == ["wim"] and losses.others == []


def test_arms_with_losses_of_both_kinds_are_told_apart() -> None:
    losses = losses_of(
        training={"loss": {"text": TEXT}},
        arms={
            "own": {"reward": "wim"},
            "other_own": {"reward": "wim", "training": {"loss": {"text": OTHER}}},
            "named": {"reward": "wim", "training": {"loss": "lrml"}},
            "mixed": {"reward": "wim", "training": {"loss": {"sigmoid": 0.5, "lrml": 0.5}}},
            "later": {
                "reward": "wim",
                "rounds": 2,
                "training": {"loss": "sigmoid"},
                "by_round": {2: {"training": {"loss": {"text": TEXT}}}},
            },
        },
    )
    assert losses.arms == ["own", "other_own", "later"]
    assert losses.others == ["named", "mixed"]
    assert losses.training("other_own").own_loss == OwnLoss(text=OTHER, function="mine")
    assert losses.training("later", 1).own_loss is None


@pytest.mark.parametrize("loss", ["sigmoid", "lrml", {"lrml": 0.2, "sigmoid": 0.8}])
def test_a_named_loss_is_known_by_what_it_was_known_by(loss: Any) -> None:
    mine, former = PairTrainingSettings(loss=loss), TrainingSettings(loss=loss)
    assert mine.model_dump(mode="json") == former.model_dump(mode="json")
    assert mine.model_dump() == former.model_dump()
    assert (mine.loss_label, mine.loss_weights) == (former.loss_label, former.loss_weights)


def test_settings_come_back_from_the_text_that_a_job_reads() -> None:
    settings = PairTrainingSettings(loss={"text": TEXT, "function": "mine"}, beta=0.3)
    again = PairTrainingSettings.model_validate_json(settings.model_dump_json())
    assert again == settings and again.loss_weights == {"mine (own)": 1.0}


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({"loss": {"function": "mine"}}, "write {file: my_loss.py, function: my_loss}"),
        ({"loss": {"file": "a.py", "text": TEXT}}, "write {file: my_loss.py"),
        ({"loss": {"file": "a.py", "sigmoid": 0.5}}, "sigmoid: write {file: my_loss.py"),
        ({"loss": {"text": "import os"}}, "line 1: found `import os`; nothing is imported"),
        ({"loss": {"text": TEXT, "function": "other"}}, "found no function 'other'"),
        ({"loss": {"text": TEXT}, "tau": 0.1}, "does not read it; leave it out"),
        ({"loss": {"text": TEXT}, "f_divergence": "forward_kl"}, "does not read it"),
        ({"loss": "lmrl"}, "did you mean 'lrml'?"),
    ],
)
def test_what_is_no_loss_is_told_with_what_to_write(training: Any, told: str) -> None:
    with pytest.raises(UserError) as refused:
        load_config({"training": training})
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no such file"),
        (b"\xff\xfe", "cannot be read as UTF-8 text"),
        (b"import os", "line 1: found `import os`"),
    ],
)
def test_a_file_that_is_no_loss_is_told_before_anything_runs(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_bytes(content)
    losses = losses_of(arms={"a": {"reward": "wim", "training": {"loss": {"file": str(file)}}}})
    with pytest.raises(UserError) as refused:
        losses.check()
    assert told in str(refused.value) and str(file) in str(refused.value)


def test_an_online_arm_has_no_loss_of_its_own() -> None:
    arm = {"reward": "wim", "method": "online_dpo", "training": {"loss": {"text": TEXT}}}
    with pytest.raises(UserError, match=r"found loss \(own\); write one of sigmoid, ipo"):
        load_config({"arms": {"a": arm}})


def test_a_grid_varies_a_loss_of_ones_own() -> None:
    grid = {"g": {"reward": "wim", "training.loss": [{"file": "config/losses/cell.py"}, "lrml"]}}
    losses = losses_of(arms={}, grid=grid)
    assert len(losses.arms) == 1 and losses.others == ["g-lrml"]
    assert losses.training(losses.arms[0]).loss_label == "cell (own)"
