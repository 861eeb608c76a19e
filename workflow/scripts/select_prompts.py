"""Take the prompts of a round from a shard; none once the arm has stopped."""

from pathlib import Path

from wim.job import job
from wim.rounds.select import select_prompts

with job(snakemake) as spec:
    select_prompts(
        prompts=Path(snakemake.input.prompts),
        verdicts=snakemake.input.verdicts,
        number=spec["number"],
        slices=spec["slices"],
        output=Path(snakemake.output.prompts),
    )
