"""Take labelled pairs in as dialogues."""

from pathlib import Path

from wim.evaluation.gate import write_labelled
from wim.scripting import job

with job(snakemake):
    write_labelled(Path(snakemake.input.pairs), [Path(path) for path in snakemake.output.dialogues])
