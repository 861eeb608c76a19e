"""Take labelled pairs in as dialogues."""

from pathlib import Path

from wim.evaluation.gate import write_labelled
from wim.job import job

with job(snakemake) as spec:
    write_labelled(
        pairs=Path(snakemake.input.pairs),
        outputs=[Path(path) for path in snakemake.output.dialogues],
        **spec,
    )
