"""Train the actor on pairs of its own completions, judged as they are drawn."""

from pathlib import Path

from wim.job import job
from wim.settings.dialogues import DialogueSettings
from wim.settings.pairs import PairSettings
from wim.settings.training import TrainingSettings
from wim.training.online_dpo.rewards import rewarding_of
from wim.training.online_dpo.train import OnlineTables, train_online_dpo
from wim.training.run.launch import training_run, write_checkpoint_on

with job(snakemake) as spec:
    write_checkpoint_on(
        train_online_dpo,
        gpus=snakemake.resources.get("gpu"),
        log=Path(snakemake.log[0]),
        prompts=[Path(path) for path in snakemake.input.prompts],
        dialogues=DialogueSettings.model_validate(spec["dialogues"]),
        rewarding=rewarding_of(snakemake, spec),
        pairing=PairSettings.model_validate(spec["pairs"]),
        settings=TrainingSettings.model_validate(spec["training"]),
        names=spec["names"],
        upstream_settings=spec["behind"],
        sft_prompts=spec.get("sft_prompts"),
        run=training_run(snakemake),
        tables=OnlineTables(
            dialogues=Path(snakemake.output.dialogues),
            ratings=Path(snakemake.output.ratings),
            rewards=Path(snakemake.output.rewards),
            pairs=Path(snakemake.output.pairs),
            exclusions=Path(snakemake.output.exclusions),
        ),
    )
