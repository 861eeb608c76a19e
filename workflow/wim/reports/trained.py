"""The summary's part on fine-tuned models and reward models."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SFT = """
## Fine-tuned models

| model | completions of | share of prompts | steps | loss, first → last | held-out loss |
|---|---|---:|---:|---:|---:|
{rows}

The loss is the negative log-likelihood of a completion's token, in nats. Held-out loss is of the held-out prompts' completions, at the last evaluation; losses on other completions are not comparable.
"""
REWARD_MODELS = """
## Reward models

| model | pairs of arm | held-out pairs | accuracy | log-loss (a coin: 0.693) | expected calibration error |
|---|---|---:|---:|---:|---:|
{rows}

They measure how well a model repeats the judge behind its pairs, not whether that judge is right.
"""
UNDEFINED = "\N{EN DASH}"


def trained_figures(
    models: Mapping[str, Mapping[str, Mapping[str, Any]]],
    metrics: Sequence[Path],
    evaluations: Sequence[Path],
) -> dict[str, dict[str, Any]]:
    """The figures of trained models under `sft` and `reward_models`; empty where there are none.

    models: what is told of each, under the same names. metrics: <name>/metrics.jsonl of the
    fine-tunings. evaluations: <name>/evaluation.json of the reward models.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in metrics:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        losses = [row["loss"] for row in rows if row.get("loss") is not None]
        held_out = [row["eval_loss"] for row in rows if row.get("eval_loss") is not None]
        name = path.parent.name
        found.setdefault("sft", {})[name] = {
            **models["sft"][name],
            "steps": len(losses),
            "loss_first": losses[0] if losses else None,
            "loss_last": losses[-1] if losses else None,
            "held_out_loss": held_out[-1] if held_out else None,
        }
    for path in evaluations:
        told = json.loads(path.read_text(encoding="utf-8"))["held_out"]
        name = path.parent.name
        found.setdefault("reward_models", {})[name] = {
            **models["reward_models"][name],
            "held_out": told,
        }
    return found


def trained_text(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The same in Markdown."""
    text = ""
    if sft := figures.get("sft"):
        text += SFT.format(rows="\n".join(_sft_row(name, one) for name, one in sft.items()))
    if scoring := figures.get("reward_models"):
        rows = "\n".join(_reward_model_row(name, one) for name, one in scoring.items())
        text += REWARD_MODELS.format(rows=rows)
    return text


def _sft_row(name: str, one: Mapping[str, Any]) -> str:
    loss = f"{_shown(one['loss_first'])} → {_shown(one['loss_last'])}"
    cells = [f"`{name}`", f"`{one['completions']}`", f"{one['prompts']:g}", f"{one['steps']:,}"]
    return f"| {' | '.join([*cells, loss, _shown(one['held_out_loss'])])} |"


def _reward_model_row(name: str, one: Mapping[str, Any]) -> str:
    held_out = one["held_out"] or {}
    cells = [f"`{name}`", f"`{one['arm']}`", f"{held_out.get('pairs', 0):,}"]
    cells += [
        _shown(held_out.get(key)) for key in ("accuracy", "log_loss", "expected_calibration_error")
    ]
    return f"| {' | '.join(cells)} |"


def _shown(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"
