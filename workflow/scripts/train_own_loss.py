"""Train the actor on an arm's pairs with a loss that is a text."""

from pathlib import Path

from wim.job import job
from wim.settings.own_loss import PairTrainingSettings
from wim.training.own_loss import train_own_loss
from wim.training.run.launch import optional_path, training_run, write_checkpoint_on

with job(snakemake) as spec:
    write_checkpoint_on(
        train_own_loss,
        gpus=snakemake.resources.get("gpu"),
        log=Path(snakemake.log[0]),
        pairs=Path(snakemake.input.pairs),
        reference=optional_path(snakemake.input.reference),
        verdicts=[Path(path) for path in snakemake.input.verdicts],
        settings=PairTrainingSettings.model_validate(spec["training"]),
        names=spec["names"],
        upstream_settings=spec["behind"],
        run=training_run(snakemake),
    )
