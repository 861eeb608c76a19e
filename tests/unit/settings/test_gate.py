"""Settings of the gate: what is refused, and what decides its stages."""

from pathlib import Path

import pytest

from wim.dag.inputs import Inputs
from wim.dag.specs import Specs
from wim.errors import UserError
from wim.settings.load import load_config

JUDGES = {"smollm2": {"model": "smollm2"}, "two": {"model": "smollm2", "method": "pairwise"}}


class Wildcards:
    """The policy of a job."""

    def __init__(self, policy: str) -> None:
        self.policy = policy


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ({"bar": 0.5}, ["gate", "bar has nothing to measure"]),
        ({"tuned": ["wim", "other"]}, ["tuned has nothing to measure"]),
        ({"pairs": []}, ["gate.pairs", "write one or more files"]),
        ({"pairs": ""}, ["gate.pairs", "write one or more files"]),
        ({"pairs": ["a.json", "a.json"]}, ["gate.pairs", "each once"]),
        ({"pairs": "a.json", "tuned": ["wim"]}, ["write two or more"]),
        ({"pairs": "a.json", "tuned": ["wim", "wim"]}, ["each once"]),
        ({"pairs": "a.json", "tuned": ["wim", "wom"]}, ["gate.tuned: found 'wom'", "pairs/two"]),
        ({"pairs": "a.json", "tuned": ["wim", "pairs/fine"]}, ["found 'pairs/fine'"]),
        ({"pairs": "a.json", "format": "alpaca"}, ["gate.format"]),
        ({"pairs": "a.json", "least_pairs": 0}, ["gate.least_pairs"]),
    ],
)
def test_a_gate_that_cannot_be_is_refused_in_the_users_terms(gate, words) -> None:
    with pytest.raises(UserError) as refused:
        load_config({"judges": JUDGES, "gate": gate}, "mine.yaml")
    for each in words:
        assert each in str(refused.value)


def test_one_file_or_several_are_taken_and_tries_are_rewards_and_judges_of_pairs() -> None:
    one = load_config({"gate": {"pairs": "a.json"}}).gate
    several = load_config({"gate": {"pairs": ["a.json", "b.jsonl"], "format": "auto_j"}}).gate
    assert (one.files, one.form) == (["a.json"], {})
    assert (several.files, several.form) == (["a.json", "b.jsonl"], {"form": "auto_j"})
    tuned = {"pairs": "a.json", "tuned": ["wim", "pairs/two"]}
    assert load_config({"judges": JUDGES, "gate": tuned}).gate.tuned == ["wim", "pairs/two"]


def test_labelled_responses_are_known_by_what_they_were_known_by_before() -> None:
    def spec_of(policy: str, **gate: object) -> str:
        config = load_config({"gate": {"pairs": "a.json", "retest": 0.5, **gate}})
        return Specs(Inputs(config, Path())).labelled(Wildcards(policy))

    assert spec_of("labelled") == "{}"
    assert spec_of("retest") == '{"seed":0,"share":0.5}'
    assert spec_of("labelled_pairs") == '{"paired":true}'
    assert spec_of("labelled", format="hh_rlhf") == '{"form":"hh_rlhf"}'
    assert spec_of("labelled", least_pairs=99, labelled_by="people") == "{}"


@pytest.mark.parametrize(
    ("sections", "kind"),
    [
        ({"study": {"recorded": {"labelled": {"ratings": ["r.jsonl"]}}}}, "study.recorded"),
        ({"judges": {"j": {"model": "smollm2"}, "labelled": {"model": "smollm2"}}}, "judges"),
    ],
)
def test_labelled_means_the_gates_pairs_to_a_head_and_nothing_else(
    sections: dict[str, object], kind: str
) -> None:
    head = {"judge": "j", "kind": "critique_head", "learns_from": ["labelled"]}
    common = {"judges": {"j": {"model": "smollm2"}}, "gate": {"pairs": "labelled.json"}}
    with pytest.raises(UserError, match=f"is a name under {kind} too; rename that"):
        load_config({**common, "rewards": {"wim": head}, **sections})
