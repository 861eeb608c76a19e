"""Find the prompts of an evaluation that stand in what was trained on."""

from pathlib import Path

from wim.evaluation.leaks import find_leaks
from wim.job import job

with job(snakemake):
    find_leaks(
        prompts=[Path(path) for path in snakemake.input.prompts],
        trained=[Path(path) for path in snakemake.input.trained],
        output=Path(snakemake.output.leaks),
    )
