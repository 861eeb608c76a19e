"""Let the proposer write a loss, until one is valid."""

from pathlib import Path

from wim.engines.staged import staged_models
from wim.experiments.discovery.propose import propose_loss
from wim.job import job
from wim.settings.discovery import ProposingSettings
from wim.training.run.launch import optional_path

with job(snakemake) as spec:
    propose_loss(
        models=staged_models(snakemake, snakemake.input.manifests),
        recorded=optional_path(snakemake.input.recorded),
        archive=Path(snakemake.input.archive),
        templates=[Path(path) for path in snakemake.input.templates],
        settings=ProposingSettings.model_validate(spec["proposing"]),
        beta=spec["beta"],
        generation=spec["generation"],
        seed=spec["seed"],
        output=Path(snakemake.output.proposals),
    )
