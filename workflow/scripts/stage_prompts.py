"""Fetch the prompt files of a data set on the hub."""

from pathlib import Path

from wim.job import job
from wim.prompts.hub_files import stage_prompts

with job(snakemake) as spec:
    stage_prompts(spec["source"], Path(snakemake.output.files))
