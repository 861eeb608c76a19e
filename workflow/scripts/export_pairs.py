"""Write an arm's pairs, completions and ratings for other trainers."""

from pathlib import Path

from wim.exporting.export import export_pairs
from wim.job import job
from wim.settings.exports import ExportSettings

with job(snakemake) as spec:
    export_pairs(
        inputs=snakemake.input,
        settings=ExportSettings.model_validate(spec["export"]),
        made_by=spec["made_by"],
        output=Path(snakemake.output.folder),
    )
