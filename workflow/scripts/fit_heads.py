"""Fit the heads of a reward to critiques and their numbers."""

from pathlib import Path

from wim.evaluation.study.fit_heads import fit_heads, judged_shards
from wim.job import job, scratch_folder
from wim.settings.critique_rewards import NamedReward
from wim.settings.study import RecordedSettings

with job(snakemake) as spec:
    recorded = {name: RecordedSettings.model_validate(each) for name, each in spec["recorded"]}
    files = map(Path, snakemake.input.recorded)
    fit_heads(
        name=snakemake.wildcards.reward,
        settings=NamedReward.model_construct(**spec["reward"]),
        recorded=recorded,
        files={name: [next(files) for _ in each.ratings] for name, each in recorded.items()},
        judged=judged_shards(snakemake.input, spec["labelled"], spec["judges"], spec.get("form")),
        encoder=Path(snakemake.input.encoder),
        store=Path(snakemake.params.untracked.store) / "embed_critiques",
        scratch=scratch_folder(snakemake),
        long=spec.get("long", "cut"),
        output=Path(snakemake.output.heads),
        report=Path(snakemake.output.report),
    )
