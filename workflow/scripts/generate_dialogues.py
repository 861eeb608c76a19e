"""Draw completions for a shard of prompts."""

from pathlib import Path

from wim.dialogues import write_dialogues
from wim.scripting import job, scratch_folder, store_folder
from wim.settings.dialogues import DialogueSettings

with job(snakemake) as spec:
    write_dialogues(
        prompts=Path(snakemake.input.prompts),
        manifests=[Path(path) for path in snakemake.input.manifests],
        templates=[Path(path) for path in snakemake.input.templates],
        settings=DialogueSettings.model_validate(spec["dialogues"]),
        seed=spec["seed"],
        models=[snakemake.params.actor, snakemake.params.partner],
        batch_size=snakemake.resources.batch_size,
        store=store_folder(snakemake),
        scratch=scratch_folder(snakemake),
        server_log=Path(snakemake.log[0]).with_suffix(".server.log"),
        output=Path(snakemake.output.dialogues),
    )
