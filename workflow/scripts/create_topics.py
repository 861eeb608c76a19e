"""Let the models propose the topics."""

from pathlib import Path

from wim.scripting import job, scratch_folder, store_folder
from wim.settings.topics import TopicSettings
from wim.topics import create_topics

with job(snakemake) as spec:
    create_topics(
        manifests=[Path(path) for path in snakemake.input.manifests],
        models=snakemake.params.models,
        encoder=Path(snakemake.input.encoder),
        template=Path(snakemake.input.template),
        settings=TopicSettings.model_validate(spec["topics"]),
        seed=spec["seed"],
        batch_size=snakemake.resources.batch_size,
        store=store_folder(snakemake),
        scratch=scratch_folder(snakemake),
        server_log=Path(snakemake.log[0]).with_suffix(".server.log"),
        output=Path(snakemake.output.topics),
    )
