"""Fine-tune a model on completions."""

from pathlib import Path

from wim.job import job
from wim.settings.sft import SftSettings
from wim.training.run.launch import training_run, write_checkpoint_on
from wim.training.sft.train import train_sft

with job(snakemake) as spec:
    write_checkpoint_on(
        train_sft,
        gpus=snakemake.resources.get("gpu"),
        log=Path(snakemake.log[0]),
        prompts=[Path(path) for path in snakemake.input.prompts],
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        settings=SftSettings.model_validate(spec["sft"]),
        system=spec["system"],
        system_as=spec.get("system_as", "system"),
        name=snakemake.wildcards.sft,
        upstream_settings=spec["behind"],
        run=training_run(snakemake),
    )
