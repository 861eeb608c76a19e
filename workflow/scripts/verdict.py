"""Say of every arm whether it is better, worse, or not shown to be either."""

from pathlib import Path

from wim.evaluation.verdict import verdict
from wim.job import job

with job(snakemake) as spec:
    verdict(
        evaluations=[Path(path) for path in snakemake.input.evaluations],
        arms=spec["arms"],
        output=Path(snakemake.output.verdict),
    )
