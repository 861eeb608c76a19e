"""Let a judge read a shard of candidates."""

from pathlib import Path

from wim.engines.staged import staged_models
from wim.job import job
from wim.judging.rate import rate_candidates
from wim.settings.judging import JudgeSettings

with job(snakemake) as spec:
    (model,) = staged_models(snakemake, [snakemake.input.manifest])
    rate_candidates(
        dialogues=Path(snakemake.input.dialogues),
        model=model,
        templates=[Path(path) for path in snakemake.input.templates],
        judge=snakemake.wildcards.judge,
        settings=JudgeSettings.model_validate(spec["judge"]),
        seed=spec["seed"],
        output=Path(snakemake.output.ratings),
        conversations=spec.get("judged") == "conversations",
        reasoning=spec.get("reasoning") == "judged",
        questions=[Path(path) for path in snakemake.input.questions],
    )
