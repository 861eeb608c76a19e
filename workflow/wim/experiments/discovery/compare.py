"""The evaluation that is the fitness of a loss: its checkpoint against the reference."""

from collections.abc import Mapping, Sequence
from typing import Any

from wim.evaluation.evaluate import EvaluationFiles, EvaluationInputs, evaluate
from wim.settings.evaluations import EvaluationSettings


def compare_discovered(
    inputs: EvaluationInputs,
    name: str,
    settings: EvaluationSettings,
    speakers: Sequence[str],
    seed: int,
    output: EvaluationFiles,
    form: str | None = None,
    curves: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write the figures of an evaluation of one candidate; see wim.evaluation.evaluate."""
    evaluate(inputs, name, settings, speakers, seed, output, form, curves)
