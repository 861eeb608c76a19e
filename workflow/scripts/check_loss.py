"""See what a proposed loss does, in a process under limits."""

from pathlib import Path

from wim.experiments.discovery.check import check_loss
from wim.job import job
from wim.own_loss.check import Limits

with job(snakemake) as spec:
    check_loss(
        proposals=Path(snakemake.input.proposals),
        beta=spec["beta"],
        limits=Limits(spec["seconds"], spec["memory"]),
        output=Path(snakemake.output.check),
    )
