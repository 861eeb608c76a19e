"""Compare the rewards, and show the course of training."""

from pathlib import Path

from wim.job import job
from wim.reports.summary import write_summary
from wim.reports.trained import trained_figures

with job(snakemake) as spec:
    write_summary(
        dialogues=snakemake.input.dialogues,
        ratings=snakemake.input.ratings,
        rewards=snakemake.input.rewards,
        exclusions=snakemake.input.exclusions,
        metrics=snakemake.input.metrics,
        audits=snakemake.input.audits,
        reward_settings=spec["rewards"],
        arms=spec["arms"],
        trained=trained_figures(
            spec.get("trained", {}),
            metrics=[Path(path) for path in snakemake.input.fine_tunings],
            evaluations=[Path(path) for path in snakemake.input.reward_models],
        ),
        output=snakemake.output,
    )
