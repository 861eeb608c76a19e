"""Train a reward model on an arm's pairs, and measure it on those held out."""

from pathlib import Path

from wim.job import job
from wim.settings.reward_models import RewardModelSettings
from wim.training.reward_model import train_reward_model
from wim.training.run.launch import training_run, write_checkpoint_on

with job(snakemake) as spec:
    write_checkpoint_on(
        train_reward_model,
        gpus=snakemake.resources.get("gpu"),
        log=Path(snakemake.log[0]),
        pairs=Path(snakemake.input.pairs),
        settings=RewardModelSettings.model_validate(spec["reward_model"]),
        name=snakemake.wildcards.reward_model,
        upstream_settings=spec["behind"],
        run=training_run(snakemake),
    )
