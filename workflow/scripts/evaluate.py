"""Compare the answers of an evaluation's speakers."""

from wim.evaluation.evaluate import evaluate
from wim.job import job
from wim.settings.evaluations import EvaluationSettings

with job(snakemake) as spec:
    evaluate(
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
