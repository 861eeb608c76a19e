"""Set the rounds of each arm one below the other."""

from wim.job import job
from wim.reports.rounds import write_rounds

with job(snakemake) as spec:
    write_rounds(
        rounds=spec["rounds"],
        rewards=snakemake.input.rewards,
        pairs=snakemake.input.pairs,
        exclusions=snakemake.input.exclusions,
        metrics=snakemake.input.metrics,
        output=snakemake.output,
    )
