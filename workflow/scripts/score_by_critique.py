"""Compute a reward that reads the critique's words, or several judgements, for every candidate."""

from pathlib import Path

from wim.critiques.by_critique import score_by_critique
from wim.job import job
from wim.settings.critique_rewards import NamedReward

with job(snakemake) as spec:
    score_by_critique(
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        ratings=[Path(path) for path in snakemake.input.ratings],
        embeddings=[Path(path) for path in snakemake.input.embeddings],
        heads=next(map(Path, snakemake.input.heads), None),
        settings=NamedReward.model_validate(spec["reward"]),
        samples=spec["samples"],
        seed=spec.get("seed"),
        output=Path(snakemake.output.rewards),
    )
