"""Add what the evaluations have shown to the model card of an arm's checkpoint."""

from pathlib import Path

from wim.evaluation.cards import evaluated_card
from wim.job import job

with job(snakemake) as spec:
    evaluated_card(
        card=Path(snakemake.input.card),
        evaluations=[Path(path) for path in snakemake.input.evaluations],
        arm=spec["arm"],
        output=Path(snakemake.output.card),
    )
