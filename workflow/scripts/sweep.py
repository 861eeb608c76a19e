"""Set the arms of grids side by side."""

from wim.job import job
from wim.reports.sweep import write_sweep

with job(snakemake) as spec:
    write_sweep(
        metrics=snakemake.input.metrics,
        arms=spec["arms"],
        grids=spec["grids"],
        output=snakemake.output,
    )
