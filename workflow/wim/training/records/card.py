"""The model card of a checkpoint: what it is, and everything that made it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from wim.display.markdown import markdown_table

CARD = """---
base_model: {base}
library_name: transformers
pipeline_tag: {pipeline}
tags: [{kind}, trl, wim, ai-feedback]
---

# {title}

{what}

```python
from transformers import {opens}, AutoTokenizer

model = {opens}.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
```

`adapter/` holds the low-rank adapter alone, where one was trained.

## Training

{figures}

The course of every metric is in `metrics.jsonl`.

## What made it

{digests}
{accepted}
The settings, as read:

```json
{settings}
```
"""
# What a checkpoint of each kind is, and the metrics of its first and last step.
WHAT = {
    "dpo": """\
A checkpoint of direct preference optimisation (DPO, Rafailov et al. 2023, arXiv 2305.18290)
on preference pairs; what labelled them is among the settings below.""",
    "online_dpo": """\
A checkpoint of online direct preference optimisation (Guo et al. 2024, arXiv 2402.04792): each
pair was sampled from the model as it was then; what labelled it is among the settings below.""",
    "sft": """\
A checkpoint of supervised fine-tuning (SFT): the loss is the negative log-likelihood of the
completions' tokens alone.""",
    "reward_model": """\
A reward model: one number for a conversation, trained on preference pairs made from AI feedback
(Bradley and Terry 1952). Accuracy and calibration on held-out pairs are in `evaluation.json`.""",
}
SHOWN = ("loss", "rewards/margins", "rewards/accuracies", "mean_token_accuracy", "accuracy")


def model_card(provenance: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """The text of a model card.

    Args:
        provenance: The kind, title, base, settings, digests and accepted changes of code.
        history: The logged metrics.
    """
    steps = [row for row in history if "loss" in row]
    figures = []
    for name in SHOWN:
        values = [row[name] for row in steps if row.get(name) is not None]
        if values:
            first, last = f"{float(values[0]):.4f}", f"{float(values[-1]):.4f}"
            figures.append({"metric": name, "first step": first, "last step": last})
    digests = [
        {"input": name, "digest (SHA-256)": f"`{value}`"}
        for name, value in provenance["digests"].items()
    ]
    scores = provenance["kind"] == "reward_model"
    return CARD.format(
        base=json.dumps(provenance["base"]),
        kind=provenance["kind"].replace("_", "-"),
        title=provenance["title"],
        what=WHAT[provenance["kind"]],
        pipeline="text-classification" if scores else "text-generation",
        opens="AutoModelForSequenceClassification" if scores else "AutoModelForCausalLM",
        figures=markdown_table(figures, left=None),
        digests=markdown_table(digests, left=None),
        accepted=_accepted(provenance.get("accepted", {})),
        settings=json.dumps(provenance["settings"], indent=2, sort_keys=True),
    )


def _accepted(changes: Mapping[str, Mapping[str, str]]) -> str:
    """The section on changes of code that a user accepted as cosmetic; empty if there are none."""
    rows = [
        {"stage": stage, "code": f"`{now}`", "counts as": f"`{former}`"}
        for stage, codes in sorted(changes.items())
        for now, former in sorted(codes.items())
    ]
    if not rows:
        return ""
    head = "\nChanges of code accepted as cosmetic by hand (`wim accept`):\n\n"
    return f"{head}{markdown_table(rows, left=None)}\n"
