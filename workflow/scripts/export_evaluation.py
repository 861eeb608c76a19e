"""Write an evaluation's answers and judgements in the formats of other tools."""

from pathlib import Path

from wim.evaluation.exports import export_evaluation
from wim.job import job

with job(snakemake) as spec:
    export_evaluation(
        inputs=snakemake.input,
        speakers=spec["speakers"],
        by=spec["settings"]["judge"] or spec["settings"]["reward"],
        pairs=spec["settings"]["judge"] is not None,
        output=Path(snakemake.output.folder),
    )
