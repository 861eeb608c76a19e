"""The model card of a checkpoint with what its evaluations have shown, to be published with it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wim.display.json_files import read_json
from wim.display.markdown import estimate_with_interval, markdown_table
from wim.statistics import Estimate


def evaluated_card(card: Path, evaluations: Sequence[Path], arm: str, output: Path) -> None:
    """Write a checkpoint's model card with a section of its evaluations.

    Args:
        card: The card that the training wrote.
        evaluations: The figures of the evaluations.
        arm: The checkpoint's, as a speaker.
        output: The card with its evaluations; those that the arm has no part in are left out.
    """
    found = [read_json(path) for path in evaluations]
    rows = [row for figures in found for row in _rows(figures, arm)]
    section = f"## Evaluations\n\n{markdown_table(rows, left=4)}\n"
    output.write_text(card.read_text(encoding="utf-8").rstrip() + "\n\n" + section, "utf-8")


def _rows(figures: Mapping[str, Any], arm: str) -> Iterator[dict[str, str]]:
    if figures["kind"] == "win_rate":
        gains = {"win rate": figures["speakers"].get(arm)}
        key = "win_rate"
    elif figures["kind"] == "harness":
        gains = {task: of["speakers"].get(arm) for task, of in figures["tasks"].items()}
        key = "difference"
    else:
        gains = {reward: of.get(arm) for reward, of in figures.get("rewards", {}).items()}
        key = "difference"
    for name, one in gains.items():
        if one is None or "verdict" not in one:
            continue
        gain = one[key] if key == "win_rate" else one[key]["difference"]
        worth, by = figures.get("worth"), figures.get("by")
        yield {
            "evaluation": f"`{figures['evaluation']}`",
            "against": f"`{figures['reference']}`",
            "what": f"{name}, by `{by}`" if by else f"difference of `{name}`",
            "verdict": one["verdict"]["verdict"],
            "figure": estimate_with_interval(Estimate(**gain)),
            "prompts": str(gain["n"]),
            "judge's accuracy": estimate_with_interval(Estimate(**worth["accuracy"]))
            if worth
            else "not measured",
        }
