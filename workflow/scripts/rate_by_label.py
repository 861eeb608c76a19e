"""Let a classifier say how probable a label is for each candidate of a shard."""

from pathlib import Path

from wim.engines.staged import staged_models
from wim.job import job
from wim.judging.by_label import rate_by_label

with job(snakemake) as spec:
    (model,) = staged_models(snakemake, [snakemake.input.manifest])
    rate_by_label(
        dialogues=Path(snakemake.input.dialogues),
        model=model,
        judge=snakemake.wildcards.judge,
        label=spec["label"],
        output=Path(snakemake.output.ratings),
        conversations=spec.get("judged") == "conversations",
        reasoning=spec.get("reasoning") == "judged",
    )
