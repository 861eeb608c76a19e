"""Settings of further speakers: what is refused, and which sampling they have."""

import pytest

from wim.errors import UserError
from wim.settings.load import load_config


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ({"base": {"model": "smollm2"}}, ["policies.base", "base is the actor", "another"]),
        ({"labelled": {"model": "smollm2"}}, ["policies.labelled", "gate's pairs"]),
        ({"wim-round2": {"model": "smollm2"}}, ["policies.wim-round2", "a checkpoint"]),
        ({"teacher": {"model": "smolm2"}}, ["policies.teacher.model", "did you mean 'smollm2'?"]),
        ({"teacher": {}}, ["policies.teacher.model", "missing"]),
        (
            {"teacher": {"model": "smollm2", "sampling": {"temperatur": 1}}},
            ["policies.teacher.sampling.temperatur", "did you mean 'temperature'?"],
        ),
        (
            {"teacher": {"model": "smollm2", "sampling": {"top_p": 2}}},
            ["policies.teacher.sampling.top_p", "found 2"],
        ),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_the_users_terms(policies, words) -> None:
    with pytest.raises(UserError) as refused:
        load_config({"policies": policies}, "mine.yaml")
    for each in words:
        assert each in str(refused.value)


def test_a_policys_own_sampling_lies_over_the_common_one() -> None:
    config = load_config(
        {
            "dialogues": {"candidates": 4, "sampling": {"temperature": 0.7}},
            "policies": {"teacher": {"model": "minilm", "sampling": {"max_new_tokens": 9}}},
        }
    )
    found = config.policy_dialogues("teacher")
    assert (found.actor, found.candidates) == ("minilm", 4)
    assert (found.sampling.temperature, found.sampling.max_new_tokens) == (0.7, 9)
    assert config.policy_dialogues("base") == config.policy_dialogues("wim-round1")


def test_one_candidate_a_prompt_makes_no_pairs_and_is_refused_where_there_are_arms() -> None:
    with pytest.raises(UserError, match=r"dialogues\.candidates: found 1.*at least 2"):
        load_config({"dialogues": {"candidates": 1}})
    assert load_config({"dialogues": {"candidates": 1}, "arms": {}}).dialogues.candidates == 1
