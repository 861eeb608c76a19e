"""What the gate and the study have found of each reward, for the summary."""

from pathlib import Path

import pytest

from wim.dag.measured import GATE, STUDY, measured_rewards
from wim.display.json_files import write_json


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
