"""Read the prompt files into one table."""

from pathlib import Path

from wim.prompts import ingest_prompts
from wim.scripting import job
from wim.settings.prompts import PromptSettings

with job(snakemake) as spec:
    settings = PromptSettings(**spec["prompts"], files=list(snakemake.input))
    ingest_prompts(settings, Path(snakemake.output.prompts))
