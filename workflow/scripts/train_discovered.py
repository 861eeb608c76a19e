"""Train on the arm's pairs with a loss that was proposed."""

from pathlib import Path

from wim.experiments.discovery.train import train_discovered
from wim.job import job
from wim.settings.own_loss import PairTrainingSettings
from wim.training.run.launch import training_run

with job(snakemake) as spec:
    train_discovered(
        check=Path(snakemake.input.check),
        pairs=Path(snakemake.input.pairs),
        settings=PairTrainingSettings.model_validate(spec["training"]),
        names=spec["names"],
        upstream_settings=spec["behind"],
        run=training_run(snakemake),
        gpus=snakemake.resources.get("gpu"),
        log=Path(snakemake.log[0]),
        outcome=Path(snakemake.output.outcome),
    )
