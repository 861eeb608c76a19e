"""What every section of the configuration refuses."""

from typing import Any

import pytest

from wim.errors import UserError
from wim.settings.load import load_config


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"seed": True}, "seed: found True; write an integer"),
        ({"prompts": {"limit": True}}, "prompts.limit: found True; write an integer"),
        ({"prompts": {"eval_fraction": False}}, "prompts.eval_fraction: found False; write"),
        (
            {"dialogues": {"sampling": {"temperature": False}}},
            "dialogues.sampling.temperature: found False; write",
        ),
    ],
)
def test_yes_and_no_are_no_numbers(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as refused:
        load_config(settings)
    assert told in str(refused.value)


def test_a_switch_takes_them() -> None:
    assert load_config({"training": {"wpo_weighting": True}}).training.wpo_weighting
