"""Show with a bandit what AI feedback can and cannot reach."""

from wim.experiments.bandit.run import bandit
from wim.job import job
from wim.settings.bandit import BanditSettings

with job(snakemake) as spec:
    bandit(
        settings=BanditSettings.model_validate(spec["bandit"]),
        output=snakemake.output,
    )
