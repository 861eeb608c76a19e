"""Read the prompt files into one table."""

from pathlib import Path

from wim.job import job
from wim.prompts.ingest import ingest_prompts
from wim.settings.prompts import PromptSettings

with job(snakemake) as spec:
    files = [*snakemake.input.files, *snakemake.input.topics]
    settings = PromptSettings(**spec["prompts"], files=files)
    ingest_prompts(settings, Path(snakemake.output.prompts))
