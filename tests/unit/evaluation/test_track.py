"""The figures of evaluations reach the trackers: TensorBoard always, others where they are installed."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from wim.evaluation.track import numbers_of, track_evaluation

FIGURES = {
    "evaluation": "held_out",
    "prompts": 40,
    "kl": {"wim": {"value": 0.25, "low": 0.1, "high": 0.4}},
    "speakers": {
        "wim": {"adjusted": {"share": 0.625, "low": 0.5, "high": 0.7, "n": 40}, "ties": True},
        "base": {"adjusted": {"value": None, "low": None, "high": None}},
    },
}
NUMBERS = {"prompts": 40.0, "kl/wim": 0.25, "speakers/wim/adjusted": 0.625}

SET_UP = ("TRACKIO_", "WANDB_", "COMET_")


def test_of_an_interval_its_middle_is_tracked_and_texts_are_not() -> None:
    assert dict(numbers_of(FIGURES)) == NUMBERS


def test_the_figures_are_in_event_files_of_the_last_run_alone(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tmp_path / "figures.json").write_text(json.dumps(FIGURES))
    for _ in range(2):
        track_evaluation(
            tmp_path / "figures.json", "held_out", [], tmp_path / "logs", tmp_path / "out.json"
        )
    (events,) = (tmp_path / "logs").iterdir()
    read = EventAccumulator(str(events))
    read.Reload()
    scalars = {name: read.Scalars(name)[0].value for name in read.Tags()["scalars"]}
    assert scalars == NUMBERS
    assert json.loads((tmp_path / "out.json").read_text()) == NUMBERS


@pytest.mark.parametrize(
    ("tracker", "module", "written"),
    [
        ("wandb", "wandb", "wandb/offline-run-*/*.wandb"),
        ("comet", "comet_ml", "*.zip"),
        ("trackio", "trackio", "trackio/wim.db"),
    ],
)
def test_a_tracker_has_the_figures_offline(
    tmp_path: Path, tracker: str, module: str, written: str
) -> None:
    """In a process of its own, as trackers set up the one that they are in."""
    pytest.importorskip(module, reason=f"{module} is not installed: pip install 'wim[{tracker}]'")
    (tmp_path / "figures.json").write_text(json.dumps(FIGURES))
    code = """
import sys
from pathlib import Path
from wim.evaluation.track import track_evaluation
folder = Path(sys.argv[1])
track_evaluation(
    folder / "figures.json", "held_out", [sys.argv[2]], folder / "logs", folder / "out.json"
)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), tracker],
        # A training in this process may have set up trackers for itself.
        env={name: value for name, value in os.environ.items() if not name.startswith(SET_UP)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    (kept,) = (tmp_path / "logs").glob(written)
    assert kept.stat().st_size
    if tracker == "trackio":
        with sqlite3.connect(kept) as opened:
            ((name, text),) = opened.execute("select run_name, metrics from metrics").fetchall()
        assert name == "evaluation-held_out"
        assert {key: json.loads(text)[key] for key in NUMBERS} == NUMBERS
