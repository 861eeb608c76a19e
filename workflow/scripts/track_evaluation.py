"""Write an evaluation's figures to trackers."""

from pathlib import Path

from wim.evaluation.track import track_evaluation
from wim.job import job

with job(snakemake) as spec:
    track_evaluation(
        figures=Path(snakemake.input.figures),
        name=snakemake.wildcards.evaluation,
        trackers=spec["trackers"],
        folder=Path(snakemake.log[0]).with_suffix(""),
        output=Path(snakemake.output.numbers),
    )
