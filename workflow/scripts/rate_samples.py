"""Let a judge read a shard of candidates several times."""

from dataclasses import replace
from pathlib import Path

from wim.engines.staged import staged_models
from wim.job import job
from wim.judging.samples import rate_samples
from wim.settings.judging import JudgeSettings

with job(snakemake) as spec:
    (model,) = staged_models(snakemake, [snakemake.input.manifest])
    rate_samples(
        dialogues=Path(snakemake.input.dialogues),
        # The rows are those of the stage with one sample.
        model=replace(model, store=model.store.with_name("rate_candidates")),
        templates=[Path(path) for path in snakemake.input.templates],
        judge=snakemake.wildcards.judge,
        settings=JudgeSettings.model_validate(spec["judge"]),
        samples=spec["samples"],
        seed=spec["seed"],
        outputs=[Path(path) for path in snakemake.output.ratings],
        conversations=spec.get("judged") == "conversations",
        reasoning=spec.get("reasoning") == "judged",
    )
