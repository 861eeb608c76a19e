"""Train a reward model on an arm's pairs, and measure it on those held out."""

from pathlib import Path

from wim.job import job
from wim.settings.reward_models import RewardModelSettings
from wim.training.reward_model import write_checkpoint
from wim.training.run.launch import training_run, write_checkpoint_on

with job(snakemake) as spec:
    write_checkpoint_on(
        write_checkpoint,
        gpus=snakemake.resources.get("gpu"),
        log=Path(snakemake.log[0]),
        pairs=Path(snakemake.input.pairs),
        settings=RewardModelSettings.model_validate(spec["reward_model"]),
        name=snakemake.wildcards.reward_model,
        behind=spec["behind"],
        run=training_run(snakemake),
    )
