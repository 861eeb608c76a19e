"""Take labelled pairs in as dialogues."""

from pathlib import Path

from wim.evaluation.gate import label_dialogues
from wim.job import job

with job(snakemake) as spec:
    label_dialogues(
        pairs=[Path(path) for path in snakemake.input.pairs],
        outputs=[Path(path) for path in snakemake.output.dialogues],
        **spec,
    )
