"""Find the held-out prompts that stand in those that are trained on."""

from pathlib import Path

from wim.evaluation.leaks import find_split_leaks
from wim.job import job

with job(snakemake):
    find_split_leaks(
        prompts=[Path(path) for path in snakemake.input.prompts],
        output=Path(snakemake.output.leaks),
    )
