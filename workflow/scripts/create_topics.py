"""Let the models propose the topics."""

from pathlib import Path

from wim.engines.staged import staged_models
from wim.job import job, scratch_folder
from wim.models.opening import opened_folder
from wim.settings.topics import TopicSettings
from wim.topics import create_topics

with job(snakemake) as spec:
    create_topics(
        models=staged_models(snakemake, snakemake.input.manifests),
        encoder=opened_folder(Path(snakemake.input.encoder), scratch_folder(snakemake)),
        template=Path(snakemake.input.template),
        settings=TopicSettings.model_validate(spec["topics"]),
        seed=spec["seed"],
        output=Path(snakemake.output.topics),
    )
