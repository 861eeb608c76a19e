"""Let a judge of pairs compare a shard of candidates."""

from pathlib import Path

from wim.engines.staged import staged_models
from wim.job import job
from wim.judging.compare import Questions, compare_candidates
from wim.settings.judging import JudgeSettings

with job(snakemake) as spec:
    settings = JudgeSettings.model_validate(spec["judge"])
    questions = [Path(path) for path in snakemake.input.questions]
    (model,) = staged_models(snakemake, [snakemake.input.manifest])
    compare_candidates(
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        model=model,
        templates=[Path(path) for path in snakemake.input.templates],
        judge=snakemake.wildcards.judge,
        per_context=spec["per_context"],
        seed=spec["seed"],
        reasoning=spec.get("reasoning") == "judged",
        questions=Questions(settings, questions) if settings.grades else None,
        output=Path(snakemake.output.comparisons),
    )
