"""Compute a reward for every candidate."""

from pathlib import Path

from wim.job import job
from wim.rewards.score import score_candidates
from wim.settings.rewards import RewardSettings

with job(snakemake) as spec:
    score_candidates(
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        ratings=[Path(path) for path in snakemake.input.ratings],
        embeddings=[Path(path) for path in snakemake.input.embeddings],
        settings=RewardSettings.model_validate(spec["reward"]),
        seed=spec.get("seed"),
        output=Path(snakemake.output.rewards),
    )
