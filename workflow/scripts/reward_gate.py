"""Measure all rewards and judges of pairs on the labelled pairs."""

from pathlib import Path

from wim.evaluation.gate import reward_gate
from wim.job import job

with job(snakemake) as spec:
    reward_gate(
        pairs=Path(snakemake.input.pairs),
        names=spec["rewards"],
        rewards=[Path(path) for path in snakemake.input.rewards],
        again=[Path(path) for path in snakemake.input.again],
        judges=spec["judges"],
        comparisons=[Path(path) for path in snakemake.input.comparisons],
        seed=spec["seed"],
        table=Path(snakemake.output.table),
        text=Path(snakemake.output.text),
        figure=Path(snakemake.output.figure),
    )
