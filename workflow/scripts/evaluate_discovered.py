"""Say what a loss is worth."""

from pathlib import Path

from wim.experiments.discovery.fitness import evaluate_discovered
from wim.job import job
from wim.settings.discovery import FitnessSettings
from wim.training.run.launch import optional_path

with job(snakemake) as spec:
    evaluate_discovered(
        outcome=Path(snakemake.input.outcome),
        metrics=Path(snakemake.input.metrics),
        pairs=Path(snakemake.input.pairs),
        speaker=spec["speaker"],
        settings=FitnessSettings.model_validate(spec["fitness"]),
        output=Path(snakemake.output.fitness),
        evaluation=optional_path(snakemake.input.evaluation),
    )
