"""Compare the rounds of each arm that has several."""

from wim.job import job
from wim.reports.rounds import rounds

with job(snakemake) as spec:
    rounds(
        inputs=snakemake.input,
        arms_and_numbers=spec["rounds"],
        output=snakemake.output,
    )
