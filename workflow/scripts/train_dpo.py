"""Train the actor on an arm's pairs."""

from pathlib import Path

from wim.scripting import job, scratch_folder, store_folder
from wim.settings.training import TrainingSettings
from wim.training.launch import write_checkpoint_on

with job(snakemake) as spec:
    write_checkpoint_on(
        gpus=snakemake.resources.get("gpu"),
        log=Path(snakemake.log[0]),
        pairs=Path(snakemake.input.pairs),
        manifest=Path(snakemake.input.manifest),
        settings=TrainingSettings.model_validate(spec["training"]),
        seed=spec["seed"],
        names=spec["names"],
        behind=spec["behind"],
        per_device=snakemake.resources.batch_size,
        store=store_folder(snakemake),
        scratch=scratch_folder(snakemake),
        save_seconds=snakemake.resources.save_seconds,
        folder=Path(snakemake.output.manifest).parent,
    )
