"""The sweep compares arms: repeats as mean and standard error, against what differs."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wim.reports.sweep import axis_across, in_words, settings_of, sweep
from wim.settings.grid import axes_of_arms
from wim.statistics import MeanAndError

GRID = {"reward": "wim", "training.loss": ["sigmoid", "ipo"], "training.beta": [0.05, 0.5]}


def swept(folder: Path, grid: dict[str, Any], **others: dict[str, float]) -> SimpleNamespace:
    """The sweep of a grid whose arms' figures follow from their place; `others` are in no grid."""
    grids = axes_of_arms({"g": grid}) if grid else {}
    rows: dict[str, dict[str, float]] = {
        arm: {"eval_rewards/accuracies": 0.5 + place / 10, "eval_kl": 0.01 * place, "eval_loss": 1}
        for place, arm in enumerate(grids.get("g", {}))
    }
    rows |= others
    for arm, row in rows.items():
        steps = [{"loss": 1.0, "step": 1}, {"eval_rewards/accuracies": 0.0, "step": 1}, row]
        text = "".join(json.dumps(step) + "\n" for step in steps)
        (folder / f"{arm}.jsonl").write_text(text, encoding="utf-8")
    names = {"table": "sweep.json", "text": "sweep.md", "figure": "sweep.svg"}
    output = SimpleNamespace(**{key: str(folder / name) for key, name in names.items()})
    sweep([folder / f"{arm}.jsonl" for arm in rows], list(rows), grids, output)
    return SimpleNamespace(
        table=json.loads(Path(output.table).read_text()),
        text=Path(output.text).read_text(),
        figure=Path(output.figure).read_bytes(),
    )


def test_repeats_are_reported_as_mean_and_standard_error() -> None:
    found = MeanAndError.of([0.4, 0.6, 0.8])
    assert found == MeanAndError(pytest.approx(0.6), pytest.approx(0.2 / 3**0.5), 3)
    arms = {"first": {"seed": 0}, "second": {"seed": 1}}
    figures = {"accuracy": 0.4, "margin": None, "kl": None, "loss": None}
    measured = {"first": figures, "second": figures | {"accuracy": None}}
    (setting,) = settings_of(arms, measured)
    assert setting.figures["accuracy"] == MeanAndError(0.4, None, 1)
    assert setting.figures["loss"] == MeanAndError(None, None, 0)


def test_arms_that_differ_in_their_seed_alone_are_one_setting(tmp_path: Path) -> None:
    grid = {"reward": "wim", "training.beta": [0.1, 0.5], "seed": [0, 1, 2]}
    first, second = swept(tmp_path, grid).table["grids"]["g"]
    assert first["axes"] == {"training.beta": 0.1}
    assert first["arms"] == ["g-beta0.1-seed0", "g-beta0.1-seed1", "g-beta0.1-seed2"]
    assert first["figures"]["accuracy"]["n"] == 3
    assert first["figures"]["accuracy"]["mean"] == pytest.approx(0.6)
    assert second["figures"]["accuracy"]["mean"] == pytest.approx(0.9)


def test_each_arms_last_figures_are_kept_by_its_name(tmp_path: Path) -> None:
    arms = swept(tmp_path, GRID).table["arms"]
    assert arms["g-ipo-beta0.05"] == {"accuracy": 0.7, "margin": None, "kl": 0.02, "loss": 1.0}


def test_the_table_has_a_column_for_each_axis_and_says_what_was_not_measured(
    tmp_path: Path,
) -> None:
    lines = swept(tmp_path, GRID).text.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[0].startswith("| loss | beta | reward accuracy | margin (nats) |")
    assert table[2].startswith("| sigmoid | 0.05 | 0.5 | \N{EN DASH} |")
    assert len(table) == 2 + 4
    assert any("arXiv" in line and "2504.10637" in line for line in lines)


def test_arms_of_no_grid_are_one_group_by_their_names(tmp_path: Path) -> None:
    (one,) = swept(tmp_path, {}, solo={"eval_kl": 0.5}).table["grids"]["arms of no grid"]
    assert one["axes"] == {"arm": "solo"}
    assert one["figures"]["kl"]["mean"] == 0.5


def test_the_x_axis_is_the_numeric_axis_with_most_values() -> None:
    grid = {
        "training.beta": [0.1, 0.2, 0.5],
        "training.loss": ["a", "b"],
        "pairs.min_margin": [0, 1],
    }
    axes = axes_of_arms({"g": grid})["g"]
    measured = {arm: dict.fromkeys(("accuracy", "margin", "kl", "loss")) for arm in axes}
    assert axis_across(list(settings_of(axes, measured))) == "training.beta"


def test_the_same_metrics_give_the_same_bytes(tmp_path: Path) -> None:
    once = swept(tmp_path, GRID)
    assert once.figure.startswith(b"<?xml")
    assert swept(tmp_path, GRID) == once


@pytest.mark.parametrize(
    ("value", "words"),
    [({"sigmoid": 0.8, "lrml": 0.2}, "0.8 sigmoid + 0.2 lrml"), (1e-6, "1e-06"), (None, "None")],
)
def test_values_have_a_text(value: Any, words: str) -> None:
    assert in_words(value) == words
