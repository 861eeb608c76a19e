"""Let a judge of pairs compare a shard of candidates."""

from pathlib import Path

from wim.engines.staged import staged_models
from wim.job import job
from wim.judging.compare import compare_candidates

with job(snakemake) as spec:
    (model,) = staged_models(snakemake, [snakemake.input.manifest])
    compare_candidates(
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        model=model,
        templates=[Path(path) for path in snakemake.input.templates],
        judge=snakemake.wildcards.judge,
        per_context=spec["per_context"],
        seed=spec["seed"],
        reasoning=spec.get("reasoning") == "judged",
        output=Path(snakemake.output.comparisons),
    )
