"""Stage a model: fetch it, check it, and write its manifest."""

from pathlib import Path

from wim.job import job
from wim.models.stage import stage_model
from wim.settings.models import ModelSource

with job(snakemake) as spec:
    folder = Path(snakemake.output.manifest).parent
    stage_model(ModelSource.model_validate(spec["model"]), folder)
