"""Train the actor on pairs of its own completions, judged as they are sampled."""

from pathlib import Path

from wim.job import job
from wim.settings.dialogues import DialogueSettings
from wim.settings.pairs import PairSettings
from wim.settings.training import TrainingSettings
from wim.training.online_dpo.rewards import reward_pipeline
from wim.training.online_dpo.train import OnlineInputs, OnlineTables, train_online_dpo
from wim.training.run.launch import training_run, write_checkpoint_on

with job(snakemake) as spec:
    write_checkpoint_on(
        train_online_dpo,
        gpus=snakemake.resources.get("gpu"),
        log=Path(snakemake.log[0]),
        inputs=OnlineInputs(
            prompts=[Path(path) for path in snakemake.input.prompts],
            dialogues=DialogueSettings.model_validate(spec["dialogues"]),
            reward=reward_pipeline(snakemake, spec),
            pairing=PairSettings.model_validate(spec["pairs"]),
            sft_prompts=spec.get("sft_prompts"),
        ),
        settings=TrainingSettings.model_validate(spec["training"]),
        names=spec["names"],
        upstream_settings=spec["behind"],
        run=training_run(snakemake),
        tables=OnlineTables(
            dialogues=Path(snakemake.output.dialogues),
            ratings=Path(snakemake.output.ratings),
            rewards=Path(snakemake.output.rewards),
            pairs=Path(snakemake.output.pairs),
            exclusions=Path(snakemake.output.exclusions),
        ),
    )
