"""Compare the rewards, and show the course of training."""

from wim.job import job
from wim.reports.summary import summary

with job(snakemake) as spec:
    summary(
        inputs=snakemake.input,
        rewards=spec["rewards"],
        arms=spec["arms"],
        trained=spec.get("trained", {}),
        output=snakemake.output,
        measured=spec.get("measured", {}),
    )
