"""Compute a reward of a judge that rates several aspects, for every candidate."""

from pathlib import Path

from wim.critiques.by_aspect import score_by_aspect
from wim.job import job
from wim.settings.critique_rewards import NamedReward

with job(snakemake) as spec:
    score_by_aspect(
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        aspects=[Path(path) for path in snakemake.input.aspects],
        settings=NamedReward.model_validate(spec["reward"]),
        names=spec["aspects"],
        samples=spec["samples"],
        seed=spec.get("seed"),
        output=Path(snakemake.output.rewards),
    )
