"""Measure all judges and rewards on labelled pairs and recorded critiques, side by side."""

from pathlib import Path

from wim.evaluation.study.study import reward_study
from wim.job import job, scratch_folder
from wim.settings.critique_rewards import NamedReward
from wim.settings.study import RecordedSettings

with job(snakemake) as spec:
    recorded = {name: RecordedSettings.model_validate(each) for name, each in spec["recorded"]}
    files, labels = (map(Path, snakemake.input.recorded), map(Path, snakemake.input.labels))
    reward_study(
        recorded=recorded,
        files={name: [next(files) for _ in each.ratings] for name, each in recorded.items()},
        labels={name: next(labels) for name, each in recorded.items() if each.labels is not None},
        rewards={name: NamedReward.model_validate(each) for name, each in spec["rewards"]},
        gate=[Path(path) for path in snakemake.input.pairs],
        tables=[Path(path) for path in snakemake.input.rewards],
        ratings=[Path(path) for path in snakemake.input.ratings],
        encoder=next(map(Path, snakemake.input.encoder), None),
        store=Path(snakemake.params.untracked.store) / "embed_critiques",
        scratch=scratch_folder(snakemake),
        seed=spec["seed"],
        form=spec.get("form"),
        long=spec.get("long", "cut"),
        output=Path(snakemake.output.table),
        text=Path(snakemake.output.text),
        figure=Path(snakemake.output.figure),
    )
