"""Share the prompts out to shards by hash."""

from pathlib import Path

from wim.job import job
from wim.prompts.ingest import shard_prompts

with job(snakemake):
    shard_prompts(Path(snakemake.input.prompts), [Path(shard) for shard in snakemake.output.shards])
