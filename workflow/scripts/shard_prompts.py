"""Share the prompts out to shards by hash."""

from pathlib import Path

from wim.prompts import shard_prompts
from wim.scripting import job

with job(snakemake):
    shard_prompts(Path(snakemake.input.prompts), [Path(shard) for shard in snakemake.output.shards])
