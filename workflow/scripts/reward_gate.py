"""Measure every reward and judge of pairs on the labelled pairs."""

from wim.evaluation.gate import reward_gate
from wim.job import job

with job(snakemake) as spec:
    reward_gate(inputs=snakemake.input, output=snakemake.output, **spec)
