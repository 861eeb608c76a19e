"""Write the page on which a person reads and labels pairs."""

from pathlib import Path

from wim.job import job
from wim.viewing.page import page

with job(snakemake) as spec:
    page(
        inputs=snakemake.input,
        arms=spec["arms"],
        evaluations=spec["evaluations"],
        controls=spec["controls"],
        bounds=spec["bounds"],
        seed=spec["seed"],
        output=Path(snakemake.output.page),
    )
