"""What a loss is worth: a figure of its training, or of an evaluation of its checkpoint."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wim.display.json_files import read_json, write_json
from wim.errors import UserError
from wim.reports.sweep import FIGURES
from wim.settings.discovery import FitnessSettings
from wim.tables.files import read_column
from wim.tables.metrics import last_value, read_metrics

# Where the figures of evaluations are, by short names.
PLACES = {
    "win_rate": "speakers.{speaker}.win_rate",
    "corrected": "speakers.{speaker}.corrected",
    "mean": "speakers.{speaker}.mean",
}
HALF_INTERVAL = 1.959963984540054
"""Standard errors in half an interval of 95 %."""


def evaluate_discovered(
    outcome: Path,
    metrics: Path,
    pairs: Path,
    speaker: str,
    settings: FitnessSettings,
    output: Path,
    evaluation: Path | None = None,
) -> None:
    """Write the fitness of a candidate: JSON with `fitness`, `standard_error`, `n`, and `reason`.

    Args:
        outcome: What became of its training.
        metrics: What its training logged.
        pairs: The arm's pairs.
        speaker: Who the candidate is in an evaluation.
        settings: What the fitness is.
        output: The file.
        evaluation: The figures of the evaluation that the fitness is of; None for held-out pairs.

    Raises:
        UserError: The evaluation has no such figure.
    """
    trained = read_json(outcome)
    found: dict[str, Any] = {"fitness": None, "standard_error": None, "n": 0}
    reason = trained["reason"]
    if reason is None:
        if evaluation is None:
            found = _of_held_out(metrics, pairs, settings.figure)
            missing = "no pair is held out; write prompts.eval_fraction above 0"
        else:
            found = of_evaluation(read_json(evaluation), speaker, settings.figure, str(evaluation))
            missing = f"{evaluation} has no value of {settings.figure} for {speaker}"
        if found["fitness"] is None:
            reason = missing
    write_json(output, {**found, "reason": reason})


def _of_held_out(metrics: Path, pairs: Path, figure: str) -> dict[str, Any]:
    value = last_value(read_metrics(metrics), FIGURES[figure][0])
    held_out = read_column(pairs, "split").count("eval")
    if value is None or not math.isfinite(value):
        return {"fitness": None, "standard_error": None, "n": held_out}
    error = None
    if figure == "accuracy" and held_out:
        # Of the share with two right and two wrong pairs added (Agresti and Coull 1998): a share of
        # 1 of few pairs is not without error.
        share = (value * held_out + 2) / (held_out + 4)
        error = math.sqrt(share * (1 - share) / (held_out + 4))
    return {"fitness": value, "standard_error": error, "n": held_out}


def of_evaluation(
    figures: Mapping[str, Any], speaker: str, figure: str, file: str
) -> dict[str, Any]:
    """A figure of an evaluation: a number, or an estimate, whose interval gives its standard error.

    Args:
        figures: Those of the evaluation.
        speaker: Who is meant.
        figure: A short name, a reward's name, `area`, or a path of keys with {speaker}.
        file: That of the figures, for messages.

    Raises:
        UserError: There is no such figure.
    """
    path = PLACES.get(figure, figure)
    if figure in figures.get("rewards", {}):
        # The name of a reward may have dots.
        keys = ["rewards", figure, speaker, "mean"]
    elif figure == "area" and len(figures.get("frontier", {})) == 1:
        keys = ["frontier", *figures["frontier"], "curves", speaker, "area"]
    else:
        keys = [speaker if key == "{speaker}" else key for key in path.split(".")]
    place: Any = figures
    for done, key in enumerate(keys):
        if not isinstance(place, Mapping) or key not in place:
            known = ", ".join(place) if isinstance(place, Mapping) else "no keys"
            raise UserError(
                f"{file}: found nothing at {'.'.join(keys[: done + 1])}; write a path of its keys at "
                f"discovery.fitness.figure; there are: {known}."
            )
        place = place[key]
    if isinstance(place, Mapping) and "mean" in place and "value" not in place:
        place = place["mean"]
    if isinstance(place, int | float) and not isinstance(place, bool):
        return {"fitness": float(place), "standard_error": None, "n": 0}
    if not isinstance(place, Mapping) or "value" not in place:
        raise UserError(
            f"{file}: {'.'.join(keys)} is no number; write the path of one at "
            "discovery.fitness.figure."
        )
    low, high = place.get("low"), place.get("high")
    error = None if low is None or high is None else (high - low) / 2 / HALF_INTERVAL
    return {"fitness": place["value"], "standard_error": error, "n": place.get("n", 0)}
