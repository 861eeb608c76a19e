"""Audit a judge's critiques: whether they are about the response."""

from pathlib import Path

from wim.evaluation.audit import audit_critiques
from wim.job import job

with job(snakemake) as spec:
    audit_critiques(
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        ratings=[Path(path) for path in snakemake.input.ratings],
        embeddings=[Path(path) for path in snakemake.input.embeddings],
        template=Path(snakemake.input.template),
        seed=spec["seed"],
        output=Path(snakemake.output.audit),
    )
