"""Let a judge read a shard of candidates once or several times, in several aspects."""

from dataclasses import replace
from pathlib import Path

from wim.engines.staged import staged_models
from wim.job import job
from wim.judging.rate_aspects import rate_aspects
from wim.settings.sampled_judges import NamedJudge

with job(snakemake) as spec:
    (model,) = staged_models(snakemake, [snakemake.input.manifest])
    rate_aspects(
        dialogues=Path(snakemake.input.dialogues),
        # Its rows are in the folder of all ratings.
        model=replace(model, store=model.store.with_name("rate_candidates")),
        templates=[Path(path) for path in snakemake.input.templates],
        judge=snakemake.wildcards.judge,
        settings=NamedJudge.model_validate(spec["judge"]),
        samples=spec["samples"],
        seed=spec["seed"],
        outputs=[Path(path) for path in snakemake.output.ratings],
        aspects=Path(snakemake.output.aspects),
        conversations=spec.get("judged") == "conversations",
        reasoning=spec.get("reasoning") == "judged",
    )
