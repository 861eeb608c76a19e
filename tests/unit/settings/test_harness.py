"""Evaluations of the kind harness: what they need, and whom they can measure."""

from typing import Any

import pytest

from wim.errors import UserError
from wim.settings.config import Config
from wim.settings.evaluated import answering_speakers, measured_by_harness
from wim.settings.load import load_config

MINE: dict[str, Any] = {"source": "path:mine"}


def configured(evaluation: dict[str, Any], **models: dict[str, Any]) -> Config:
    return load_config(
        {
            "models": {"mine": MINE, **models},
            "dialogues": {"actor": "mine"},
            "judges": {"mine": {"model": "mine"}},
            "evaluations": {"bench": {"kind": "harness", **evaluation}},
        }
    )


def test_those_who_are_measured_answer_no_prompts() -> None:
    config = configured({"tasks": ["arc_easy"], "speakers": ["yours"]}, yours=MINE)
    assert [each.speaker for each in measured_by_harness(config)] == ["base", "yours"]
    assert answering_speakers(config) == []
    assert config.arms == {}


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({}, "needs tasks"),
        ({"tasks": ["a", "a"]}, "named twice"),
        ({"tasks": ["a,b"]}, "without commas"),
        ({"tasks": ["mine.yml"]}, "end in .yaml"),
        ({"tasks": ["a"], "judge": "mine"}, "judge has no effect"),
        ({"tasks": ["a"], "prompts": {"files": ["p.txt"]}}, "prompts has no effect"),
        ({"tasks": ["a"], "system": "Be brief."}, "chat_template: true"),
        ({"tasks": ["a"], "limit": 0}, "limit"),
        (
            {"kind": "win_rate", "judge": "mine", "tasks": ["a"]},
            "tasks belongs to the kind harness",
        ),
    ],
)
def test_what_does_not_fit_the_kind_is_refused(evaluation: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        configured(evaluation)


@pytest.mark.parametrize(
    ("speaker", "model", "said"),
    [
        ("references", MINE, "is no model"),
        ("yours", {"source": "endpoint:gpt@1", "api": {"url": "http://x.org"}}, "behind an API"),
        ("yours", {**MINE, "quantization": "nf4"}, "opens models whole"),
        ("nobody", MINE, "found the speaker 'nobody'"),
    ],
)
def test_who_cannot_be_measured_is_told_before_the_run(
    speaker: str, model: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        configured({"tasks": ["a"], "speakers": [speaker]}, yours=model)
