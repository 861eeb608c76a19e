"""Report on the losses of all generations."""

from pathlib import Path

from wim.experiments.discovery.report import discovery
from wim.job import job
from wim.settings.discovery import FitnessSettings
from wim.training.run.launch import optional_path

with job(snakemake) as spec:
    discovery(
        archive=optional_path(snakemake.input.archive),
        checks=[Path(path) for path in snakemake.input.checks],
        candidates=spec["candidates"],
        arm=spec["arm"],
        fitness=spec["fitness"] and FitnessSettings.model_validate(spec["fitness"]),
        beta=spec["beta"],
        output=snakemake.output,
    )
