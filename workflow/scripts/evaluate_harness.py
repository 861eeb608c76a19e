"""Compare the models of an evaluation, task by task."""

from pathlib import Path

from wim.evaluation.harness.compare import evaluate_harness
from wim.job import job

with job(snakemake) as spec:
    evaluate_harness(
        tasks=Path(snakemake.input.tasks),
        results=[Path(path) for path in snakemake.input.results],
        scores=[Path(path) for path in snakemake.input.scores],
        name=spec["name"],
        settings=spec["settings"],
        speakers=spec["speakers"],
        seed=spec["seed"],
        output=snakemake.output,
    )
