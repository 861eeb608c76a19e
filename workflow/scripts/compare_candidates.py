"""Let a judge of pairs compare a shard of candidates."""

from pathlib import Path

from wim.judging.comparing import write_comparisons
from wim.scripting import job, scratch_folder, store_folder

with job(snakemake) as spec:
    write_comparisons(
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        manifest=Path(snakemake.input.manifest),
        templates=[Path(path) for path in snakemake.input.templates],
        judge=snakemake.wildcards.judge,
        per_context=spec["per_context"],
        seed=spec["seed"],
        model=snakemake.params.model,
        batch_size=snakemake.resources.batch_size,
        store=store_folder(snakemake),
        scratch=scratch_folder(snakemake),
        server_log=Path(snakemake.log[0]).with_suffix(".server.log"),
        output=Path(snakemake.output.comparisons),
    )
