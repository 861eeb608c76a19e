"""Measure a model in the tasks of an evaluation."""

from pathlib import Path

from wim.evaluation.harness.run import Measuring, run_harness
from wim.job import job, scratch_folder

with job(snakemake) as spec:
    run_harness(
        manifest=Path(snakemake.input.manifest),
        tasks=Path(snakemake.input.tasks),
        measuring=Measuring(**spec["measuring"]),
        python=snakemake.params.untracked.harness,
        batch_size=snakemake.resources.batch_size,
        scratch=scratch_folder(snakemake),
        log=Path(snakemake.log[0]).with_suffix(".lm_eval.log"),
        output=snakemake.output,
    )
