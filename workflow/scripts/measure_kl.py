"""Measure how far a checkpoint is from the model that it was trained from, on its answers."""

from pathlib import Path

from wim.engines.staged import staged_models
from wim.job import job
from wim.training.divergence import measure_divergence

with job(snakemake) as spec:
    policy, reference = staged_models(snakemake, snakemake.input.manifests)
    measure_divergence(
        answers=snakemake.input.answers,
        policy=policy,
        reference=reference,
        reasoning=spec["reasoning"],
        seed=spec["seed"],
        output=Path(snakemake.output.kl),
    )
