"""What a job requests when it is tried again."""

from types import SimpleNamespace

import pytest

from support.workflow_runs import REPOSITORY
from wim.dag.inputs import Inputs
from wim.dag.resources import BATCH_SIZES, falling_batch_size
from wim.dag.training import Training
from wim.dag.untracked import UntrackedOf
from wim.settings.load import load_config


@pytest.mark.parametrize(("loss", "sizes"), [("sigmoid", [8, 4, 2, 1, 1]), ("aot", [8] * 5)])
def test_a_training_that_is_retried_has_half_the_pairs_at_a_time_where_its_loss_allows(
    loss: str, sizes: list[int]
) -> None:
    arms = {"a": {"reward": "wim", "training": {"loss": loss}}}
    training = Training(Inputs(load_config({"arms": arms}), REPOSITORY))
    assert BATCH_SIZES["train_dpo"] == 8
    batch_size = falling_batch_size("train_dpo", training.needs_whole_batches)
    arm = SimpleNamespace(arm="a", round="1")
    assert [batch_size(arm, attempt) for attempt in range(1, 6)] == sizes


def test_a_model_is_trained_with_its_own_attention() -> None:
    sections = {
        "models": {
            "actor": {"source": "path:actor", "attention": "eager"},
            "judge": {"source": "path:judge"},
        },
        "dialogues": {"actor": "actor"},
        "judges": {"judge": {"model": "judge"}},
        "rewards": {"wim": {"judge": "judge", "zeta": 0.5}},
        "arms": {"a": {"reward": "wim"}, "b": {"reward": "wim", "method": "online_dpo"}},
        "sft": {"tuned": {"model": "judge"}},
        "reward_models": {"scorer": {"arm": "a"}},
    }
    untracked = UntrackedOf(Inputs(load_config(sections), REPOSITORY))
    assert untracked.arm(SimpleNamespace(arm="a")).attention == "eager"
    assert untracked.sft(SimpleNamespace(sft="tuned")).attention == "auto"
    assert untracked.reward_model(SimpleNamespace(reward_model="scorer")).attention == "eager"
    online = untracked.online_judge(SimpleNamespace(arm="b"))
    assert online.attention == "eager"
    assert [model.source for model in online.models] == ["path:judge"]
