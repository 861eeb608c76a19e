"""Take a loss of the library as one that was proposed."""

from pathlib import Path

from wim.experiments.discovery.check import take_baseline
from wim.job import job

with job(snakemake) as spec:
    take_baseline(
        text=Path(snakemake.input.text),
        name=spec["name"],
        output=Path(snakemake.output.proposals),
    )
