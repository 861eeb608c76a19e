"""Measure all rewards on the labelled pairs."""

from pathlib import Path

from wim.evaluation.gate import write_gate
from wim.scripting import job

with job(snakemake) as spec:
    write_gate(
        pairs=Path(snakemake.input.pairs),
        rewards=dict(zip(spec["rewards"], map(Path, snakemake.input.rewards), strict=True)),
        seed=spec["seed"],
        table=Path(snakemake.output.table),
        text=Path(snakemake.output.text),
        figure=Path(snakemake.output.figure),
    )
