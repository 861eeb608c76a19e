"""Add a generation to the archive."""

from pathlib import Path

from wim.experiments.discovery.gather import archive_losses
from wim.job import job
from wim.training.run.launch import optional_path

with job(snakemake) as spec:
    archive_losses(
        before=optional_path(snakemake.input.before),
        proposals=[Path(path) for path in snakemake.input.proposals],
        outcomes=[Path(path) for path in snakemake.input.outcomes],
        fitness=[Path(path) for path in snakemake.input.fitness],
        candidates=spec["candidates"],
        generation=spec["generation"],
        output=Path(snakemake.output.archive),
    )
