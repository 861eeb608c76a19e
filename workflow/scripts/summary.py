"""Compare the rewards, and show the course of training."""

from wim.report import write_summary
from wim.scripting import job

with job(snakemake) as spec:
    write_summary(
        dialogues=snakemake.input.dialogues,
        ratings=snakemake.input.ratings,
        rewards=snakemake.input.rewards,
        exclusions=snakemake.input.exclusions,
        metrics=snakemake.input.metrics,
        reward_settings=spec["rewards"],
        arms=spec["arms"],
        output=snakemake.output,
    )
