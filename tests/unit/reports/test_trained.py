"""The summary's part on fine-tuned models and reward models."""

import json
from pathlib import Path
from typing import Any

from wim.reports.trained import trained_figures, trained_text

MODELS = {
    "sft": {"weak": {"completions": "references", "prompts": 0.1}},
    "reward_models": {"scorer": {"arm": "wim"}},
}


def figures(folder: Path, held_out: Any) -> dict[str, dict[str, Any]]:
    for name in ("weak", "scorer"):
        (folder / name).mkdir()
    rows = [{"loss": 2.5, "step": 1}, {"loss": 1.5, "step": 2}, {"eval_loss": 1.75, "step": 2}]
    metrics = folder / "weak/metrics.jsonl"
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    evaluation = folder / "scorer/evaluation.json"
    evaluation.write_text(json.dumps({"held_out": held_out}))
    return trained_figures(MODELS, [metrics], [evaluation])


def test_each_model_has_a_row_with_what_it_learnt_from_and_how_it_fared(tmp_path: Path) -> None:
    held_out = {"pairs": 9, "accuracy": 2 / 3, "log_loss": 0.6, "expected_calibration_error": 0.05}
    found = figures(tmp_path, held_out)
    assert found["sft"]["weak"]["held_out_loss"] == 1.75
    text = trained_text(found)
    assert "| `weak` | `references` | 0.1 | 2 | 2.500 → 1.500 | 1.750 |" in text
    assert "| `scorer` | `wim` | 9 | 0.667 | 0.600 | 0.050 |" in text


def test_what_was_not_measured_is_no_zero_and_without_models_nothing_is_said(
    tmp_path: Path,
) -> None:
    text = trained_text(figures(tmp_path, None))
    assert "| `scorer` | `wim` | 0 | \N{EN DASH} | \N{EN DASH} | \N{EN DASH} |" in text
    assert trained_figures({}, [], []) == {} and trained_text({}) == ""
