"""Fetch the prompt files of a data set on the hub."""

from pathlib import Path

from wim.prompt_sources import stage_prompts
from wim.scripting import job

with job(snakemake) as spec:
    stage_prompts(spec["source"], Path(snakemake.output.files))
