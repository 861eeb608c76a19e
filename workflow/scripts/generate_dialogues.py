"""Draw completions for a shard of prompts."""

from pathlib import Path

from wim.dialogues import write_dialogues
from wim.scripting import job, store_folder
from wim.settings.dialogues import DialogueSettings

with job(snakemake) as spec:
    write_dialogues(
        prompts=Path(snakemake.input.prompts),
        manifest=Path(snakemake.input.manifest),
        settings=DialogueSettings.model_validate(spec["dialogues"]),
        seed=spec["seed"],
        model=snakemake.params.model,
        batch_size=snakemake.resources.batch_size,
        store=store_folder(snakemake),
        output=Path(snakemake.output.dialogues),
    )
