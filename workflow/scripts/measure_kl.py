"""Measure how far a checkpoint is from the model that it was trained from, on its answers."""

from pathlib import Path

from wim.engines.staged import staged_models
from wim.job import job
from wim.training.measure_kl import measure_kl

with job(snakemake) as spec:
    policy, reference = staged_models(snakemake, snakemake.input.manifests)
    measure_kl(
        answers=snakemake.input.answers,
        policy=policy,
        reference=reference,
        reasoning=spec["reasoning"],
        seed=spec["seed"],
        output=Path(snakemake.output.kl),
    )
