"""Stop before training what an unproven reward has labelled."""

from pathlib import Path

from wim.evaluation.gate import check_bar
from wim.scripting import job

with job(snakemake) as spec:
    check_bar(
        table=Path(snakemake.input.table),
        reward=snakemake.wildcards.reward,
        bar=spec["bar"],
        output=Path(snakemake.output.passed),
    )
