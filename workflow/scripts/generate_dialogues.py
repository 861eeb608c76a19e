"""Draw completions for a shard of prompts."""

from pathlib import Path

from wim.dialogues.generate import generate_dialogues
from wim.engines.staged import staged_models
from wim.job import job
from wim.settings.dialogues import DialogueSettings

with job(snakemake) as spec:
    generate_dialogues(
        prompts=Path(snakemake.input.prompts),
        models=staged_models(snakemake, snakemake.input.manifests),
        templates=[Path(path) for path in snakemake.input.templates],
        settings=DialogueSettings.model_validate(spec["dialogues"]),
        seed=spec["seed"],
        output=Path(snakemake.output.dialogues),
        temperatures=spec.get("temperatures"),
    )
