"""Sum up what the run has cost."""

from wim.job import job
from wim.reports.costs import costs
from wim.settings.prices import Price

with job(snakemake) as spec:
    costs(
        prices={name: Price.model_validate(price) for name, price in spec["prices"].items()},
        output=snakemake.output,
    )
