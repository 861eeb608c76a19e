"""Choose the best of several judges on one half of the prompts, and report it on the other."""

from pathlib import Path

from wim.evaluation.tuning import judge_tuning
from wim.job import job

with job(snakemake) as spec:
    judge_tuning(
        inputs=snakemake.input,
        table=Path(snakemake.output.table),
        text=Path(snakemake.output.text),
        **spec,
    )
