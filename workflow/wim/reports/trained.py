"""The summary's part on fine-tuned models and reward models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wim.display.json_files import read_json
from wim.display.markdown import markdown_table, shown
from wim.tables.metrics import last_value, read_metrics

SFT = """
## Fine-tuned models

{rows}

The loss is the negative log-likelihood of a completion's token, in nats. Held-out loss is of the
held-out prompts' completions, at the last evaluation; losses on other completions are not
comparable.
"""
REWARD_MODELS = """
## Reward models

{rows}

These figures say how well a model repeats the judge that labelled its pairs, not whether that
judge is right.
"""


def trained_figures(
    models: Mapping[str, Mapping[str, Mapping[str, Any]]],
    metrics: Sequence[Path],
    evaluations: Sequence[Path],
) -> dict[str, dict[str, Any]]:
    """The figures of trained models under `sft` and `reward_models`; empty where there are none.

    Args:
        models: The settings of each model to report, under the same two keys, by name.
        metrics: <name>/metrics.jsonl of each fine-tuning.
        evaluations: <name>/evaluation.json of each reward model.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in metrics:
        rows = read_metrics(path)
        losses = [row["loss"] for row in rows if row.get("loss") is not None]
        name = path.parent.name
        found.setdefault("sft", {})[name] = {
            **models["sft"][name],
            "steps": len(losses),
            "loss_first": losses[0] if losses else None,
            "loss_last": losses[-1] if losses else None,
            "held_out_loss": last_value(rows, "eval_loss"),
        }
    for path in evaluations:
        name = path.parent.name
        found.setdefault("reward_models", {})[name] = {
            **models["reward_models"][name],
            "held_out": read_json(path)["held_out"],
        }
    return found


def trained_text(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The same in Markdown."""
    text = ""
    if sft := figures.get("sft"):
        rows = [_sft_row(name, one) for name, one in sft.items()]
        text += SFT.format(rows=markdown_table(rows, left=2))
    if scoring := figures.get("reward_models"):
        rows = [_reward_model_row(name, one) for name, one in scoring.items()]
        text += REWARD_MODELS.format(rows=markdown_table(rows, left=2))
    return text


def _sft_row(name: str, one: Mapping[str, Any]) -> dict[str, str]:
    loss = f"{shown(one['loss_first'], '.3f')} → {shown(one['loss_last'], '.3f')}"
    return {
        "model": f"`{name}`",
        "completions of": f"`{one['completions']}`",
        "share of prompts": f"{one['prompts']:g}",
        "steps": f"{one['steps']:,}",
        "loss, first → last": loss,
        "held-out loss": shown(one["held_out_loss"], ".3f"),
    }


def _reward_model_row(name: str, one: Mapping[str, Any]) -> dict[str, str]:
    held_out = one["held_out"] or {}
    return {
        "model": f"`{name}`",
        "pairs of arm": f"`{one['arm']}`",
        "held-out pairs": f"{held_out.get('pairs', 0):,}",
        "accuracy": shown(held_out.get("accuracy"), ".3f"),
        "log-loss (a coin: 0.693)": shown(held_out.get("log_loss"), ".3f"),
        "expected calibration error": shown(held_out.get("expected_calibration_error"), ".3f"),
    }
