"""Set the rounds of each arm one below the other."""

from wim.rounds_report import write_rounds
from wim.scripting import job

with job(snakemake) as spec:
    write_rounds(
        rounds=spec["rounds"],
        rewards=snakemake.input.rewards,
        pairs=snakemake.input.pairs,
        exclusions=snakemake.input.exclusions,
        metrics=snakemake.input.metrics,
        output=snakemake.output,
    )
