"""Fail unless the reward's accuracy on labelled pairs beats gate.bar."""

from pathlib import Path

from wim.evaluation.gate import check_bar
from wim.job import job

with job(snakemake) as spec:
    check_bar(
        table=Path(snakemake.input.table),
        measured=snakemake.wildcards.measured,
        bar=spec["bar"],
        least_pairs=spec["least_pairs"],
        output=Path(snakemake.output.passed),
    )
