"""Let a judge read a shard of candidates."""

from pathlib import Path

from wim.judging.rating import write_ratings
from wim.scripting import job, scratch_folder, store_folder
from wim.settings.judging import JudgeSettings

with job(snakemake) as spec:
    write_ratings(
        dialogues=Path(snakemake.input.dialogues),
        manifest=Path(snakemake.input.manifest),
        templates=[Path(path) for path in snakemake.input.templates],
        judge=snakemake.wildcards.judge,
        settings=JudgeSettings.model_validate(spec["judge"]),
        seed=spec["seed"],
        model=snakemake.params.model,
        batch_size=snakemake.resources.batch_size,
        store=store_folder(snakemake),
        scratch=scratch_folder(snakemake),
        server_log=Path(snakemake.log[0]).with_suffix(".server.log"),
        output=Path(snakemake.output.ratings),
        conversations=spec.get("judged") == "conversations",
    )
