"""Check whether an arm has converged: whether a round still moved its metric."""

from pathlib import Path

from wim.job import job
from wim.rounds.convergence import check_convergence
from wim.settings.rounds import StopSettings

with job(snakemake) as spec:
    check_convergence(
        rounds=(spec["number"] - 1, spec["number"]),
        pairs=snakemake.input.pairs,
        metrics=snakemake.input.metrics,
        verdicts=snakemake.input.verdicts,
        stop=StopSettings.model_validate(spec["stop"]),
        output=Path(snakemake.output.verdict),
    )
