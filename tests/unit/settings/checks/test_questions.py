"""Evaluations of the kind mt_bench: what they need, and what belongs to others."""

from typing import Any

import pytest

from wim.errors import UserError
from wim.settings.config import Config
from wim.settings.evaluated import temperatures_of
from wim.settings.load import load_config


def config(grading: dict[str, Any] | None = None, **evaluation: Any) -> Config:
    """A configuration of one evaluation by questions."""
    values = {"kind": "mt_bench", "judge": "grader", "prompts": {"files": ["q.jsonl"]}}
    return load_config(
        {
            "judges": {"grader": GRADES | (grading or {}), "pairs": PAIRS, "smollm2": RATES},
            "evaluations": {"mt": values | evaluation},
        },
        "config.yaml",
    )


PAIRS = {"model": "smollm2", "method": "pairwise"}
RATES = {"model": "smollm2"}
GRADES = {"model": "smollm2", "method": "mt_bench", "sampling": {"max_new_tokens": 256}}


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({"judge": None}, "write judge: <name of a judge of the method mt_bench>"),
        ({"judge": "pairs"}, "found 'pairs' of the method pairwise"),
        ({"prompts": {}}, "prompts: {files: [question.jsonl]}"),
        ({"prompts": {"files": ["q.jsonl"], "column": "turns"}}, "found column"),
        ({"reward": "wim"}, "no reward"),
        ({"difficulties": "d.csv", "instructions": "i.json"}, "belong to the kind win_rate"),
        ({"speakers": ["references"]}, "found 'references'"),
        ({"mode": "pairwise", "speakers": ["base"], "reference": "base"}, "the reference alone"),
        ({"kind": "win_rate", "judge": "grader"}, "a judge of the method pairwise"),
        ({"kind": "win_rate", "judge": "pairs", "parse": "as_published"}, "parse belongs to"),
        ({"kind": "win_rate", "judge": "pairs", "temperatures": {}}, "temperatures belongs to"),
    ],
)
def test_what_does_not_fit_is_said_with_what_to_write(evaluation, said) -> None:
    with pytest.raises(UserError) as refusal:
        config(**evaluation)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ({"sampling": {"max_new_tokens": 40}}, "write sampling: {max_new_tokens: 256}"),
        ({"attempts": 2}, "ignores attempts"),
        ({"decimals": True}, "ignores decimals"),
    ],
)
def test_a_judge_of_answers_needs_room_and_has_no_use_for_other_settings(judge, said) -> None:
    with pytest.raises(UserError) as refusal:
        config(judge)
    assert said in str(refusal.value)


def test_a_reward_cannot_read_a_judge_of_answers() -> None:
    with pytest.raises(UserError, match="grades the answers of evaluations alone"):
        load_config(
            {
                "judges": {"g": GRADES},
                "rewards": {"wim": {"judge": "g", "zeta": 0.0}},
            },
            "config.yaml",
        )


def test_it_rates_no_candidates_of_a_run() -> None:
    found = load_config({"judges": {"smollm2": RATES, "grader": GRADES}}, "config.yaml")
    assert found.consulted_judges == ["smollm2"]


def test_the_temperatures_are_the_published_ones_unless_others_are_written() -> None:
    assert temperatures_of(config(), "mt@base") == {
        **dict.fromkeys(["writing", "roleplay"], 0.7),
        **dict.fromkeys(["extraction", "math", "coding", "reasoning"], 0.0),
        **dict.fromkeys(["stem", "humanities"], 0.1),
    }
    assert temperatures_of(config(temperatures={}), "mt@base") == {}
    assert temperatures_of(config(), "base") is None
