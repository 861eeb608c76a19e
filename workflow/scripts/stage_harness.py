"""Find the tasks of an evaluation, and fetch their data."""

from pathlib import Path

from wim.evaluation.harness.stage import stage_harness
from wim.job import job

with job(snakemake) as spec:
    stage_harness(
        tasks=spec["tasks"],
        python=snakemake.params.untracked.harness,
        log=Path(snakemake.log[0]).with_suffix(".lm_eval.log"),
        output=Path(snakemake.output.tasks),
    )
