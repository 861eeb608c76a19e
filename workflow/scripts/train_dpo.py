"""Train the actor on an arm's pairs."""

from pathlib import Path

from wim.job import job
from wim.settings.training import TrainingSettings
from wim.training.dpo.train import train_dpo
from wim.training.run.launch import optional_path, training_run, write_checkpoint_on

with job(snakemake) as spec:
    write_checkpoint_on(
        train_dpo,
        gpus=snakemake.resources.get("gpu"),
        log=Path(snakemake.log[0]),
        pairs=Path(snakemake.input.pairs),
        reference=optional_path(snakemake.input.reference),
        verdicts=[Path(path) for path in snakemake.input.verdicts],
        settings=TrainingSettings.model_validate(spec["training"]),
        names=spec["names"],
        upstream_settings=spec["behind"],
        run=training_run(snakemake),
    )
