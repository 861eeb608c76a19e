"""What the gate and the study have found of each reward, for the summary."""

import json
from pathlib import Path
from typing import cast

import pytest

from support.workflow_runs import REPOSITORY
from wim.dag.inputs import Inputs, Wildcards
from wim.dag.measured import GATE, STUDY, measured_rewards
from wim.dag.specs import Specs
from wim.display.json_files import write_json
from wim.settings.load import load_config


def accuracy(value: float | None, pairs: int) -> dict[str, object]:
    return {"accuracy": {"value": value, "low": None, "high": None, "n": pairs}}


def test_each_measurement_of_a_reward_is_found_once_it_has_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["wim", "number", "failed"]
    assert measured_rewards(names, "labelled.json") == {}
    write_json(GATE, {"wim": accuracy(0.514, 90), "failed": accuracy(None, 0)})
    of_gate = {"set": "gate: labelled.json", "pairs": "90", "accuracy": "0.51"}
    assert measured_rewards(names, "labelled.json") == {"wim": [of_gate]}
    sets = {
        "gate: labelled.json": {"rewards": {"wim": accuracy(0.514, 90)}},
        "recorded": {"rewards": {"wim": accuracy(0.6, 1200), "(number)": accuracy(0.7, 9)}},
    }
    write_json(STUDY, {"sets": sets})
    of_study = {"set": "recorded", "pairs": "1,200", "accuracy": "0.60"}
    assert measured_rewards(names, "labelled.json") == {"wim": [of_gate, of_study]}
    # A gate without labelled pairs has not found what an earlier one left behind.
    STUDY.unlink()
    assert measured_rewards(names, "") == {}


def test_the_gates_files_are_named_as_the_study_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_json(GATE, {"wim": accuracy(0.5, 90)})
    config = load_config({"gate": {"pairs": ["mine/a.json", "b.jsonl"]}})
    spec = json.loads(Specs(Inputs(config, REPOSITORY)).summary(cast(Wildcards, None)))
    assert [one["set"] for one in spec["measured"]["wim"]] == ["gate: a.json, b.jsonl"]
