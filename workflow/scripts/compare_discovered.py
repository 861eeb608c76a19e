"""Compare the answers of a loss's checkpoint with those of the reference."""

from wim.experiments.discovery.compare import compare_discovered
from wim.job import job
from wim.settings.evaluations import EvaluationSettings

with job(snakemake) as spec:
    compare_discovered(
        inputs=snakemake.input,
        name=spec["name"],
        settings=EvaluationSettings.model_validate(
            {**spec["settings"], "rewards": spec["rewards"]}
            if spec["settings"]["kind"] in ("reward", "frontier")
            else spec["settings"]
        ),
        speakers=spec["speakers"],
        seed=spec["seed"],
        output=snakemake.output,
        form=spec.get("form"),
        curves=spec.get("curves"),
    )
