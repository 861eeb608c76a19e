"""Take the prompts of an evaluation in."""

from pathlib import Path

from wim.evaluation.prompts import evaluation_prompts
from wim.job import job
from wim.settings.prompts import PromptSettings

with job(snakemake) as spec:
    files = [str(path) for path in snakemake.input.files]
    evaluation_prompts(
        files=files,
        settings=spec["prompts"]
        and PromptSettings.model_validate({**spec["prompts"], "files": files}),
        reference_categories=spec.get("reference_categories"),
        reference_answers=next(map(Path, snakemake.input.reference_answers), None),
        outputs=[Path(path) for path in snakemake.output.shards],
    )
