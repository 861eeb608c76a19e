"""Combine several rewards as a panel."""

from pathlib import Path

from wim.job import job
from wim.rewards.panel import combine_rewards
from wim.settings.rewards import RewardSettings

with job(snakemake) as spec:
    combine_rewards(
        members=[Path(path) for path in snakemake.input.members],
        settings=RewardSettings.model_validate(spec["reward"]),
        output=Path(snakemake.output.rewards),
    )
