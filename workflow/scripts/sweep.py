"""Compare the arms of grids on held-out pairs."""

from wim.job import job
from wim.reports.sweep import sweep

with job(snakemake) as spec:
    sweep(
        metrics=snakemake.input.metrics,
        arms=spec["arms"],
        grids=spec["grids"],
        output=snakemake.output,
    )
