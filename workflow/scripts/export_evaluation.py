"""Write an evaluation's answers and judgements in the formats of other tools."""

from pathlib import Path

from wim.evaluation.exports import export_evaluation, export_questions
from wim.job import job

with job(snakemake) as spec:
    settings, output = spec["settings"], Path(snakemake.output.folder)
    if settings["kind"] == "mt_bench":
        export_questions(
            inputs=snakemake.input,
            speakers=spec["speakers"],
            judge=settings["judge"],
            mode=settings["mode"],
            published=settings["parse"] == "as_published",
            output=output,
        )
    else:
        export_evaluation(
            inputs=snakemake.input,
            speakers=spec["speakers"],
            by=settings["judge"] or settings["reward"],
            pairs=settings["judge"] is not None,
            output=output,
        )
