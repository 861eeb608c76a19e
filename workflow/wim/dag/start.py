"""What is checked as a run starts, before its first job."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from wim.cluster.orphans import no_starter, starter
from wim.cluster.resource_checks import rules_without_gpu
from wim.dag.encoder import check_encoder, warnings_of_encoder
from wim.dag.harness import Harness
from wim.dag.inputs import Inputs
from wim.dag.missing import missing_shards
from wim.dag.models import Models
from wim.dag.own_losses import OwnLosses
from wim.dag.resources import RUN_A_MODEL
from wim.dag.snakemake_internals import (
    executor,
    planned_rules,
    resources_by_rule,
    stop_on_sigterm,
    submits_jobs,
)
from wim.errors import UserError
from wim.fetch.hub import user_is_offline
from wim.settings.checks.no_effect import settings_without_effect
from wim.settings.harness import check_environment

BY_HARNESS = {"stage_harness", "run_harness"}
LOCK = Path(".snakemake/run.lock")
# The lock is held as long as its file is open, so as long as this process lives.
_locks: list[TextIO] = []


def check_start(workflow: Any, inputs: Inputs) -> None:
    """Take the working directory, and refuse a run that is bound to fail later.

    Jobs that are processes of this machine will end with this one.

    Args:
        workflow: Snakemake's, with its jobs planned.
        inputs: What the rules read.

    Raises:
        UserError: If another run uses the directory, if models that cannot be fetched are not
            staged, if lm-eval is wanted and not installed, or if rules would wait for a GPU that
            they do not request.
    """
    lock_directory()
    stop_on_sigterm(workflow)
    os.environ.update(no_starter() if submits_jobs(workflow) else starter())
    if submits_jobs(workflow) and user_is_offline():
        check_models_are_staged(inputs)
    if planned_rules(workflow) & BY_HARNESS:
        check_harness(Harness(inputs))
    if executor(workflow) == "slurm":
        check_gpus_are_requested(resources_by_rule(workflow), planned_rules(workflow))


def check_sources(inputs: Inputs) -> None:
    """Raise UserError for a model or loss that is used and whose files are not on this machine.

    And for an encoder that is none.

    Called before planning: Snakemake ignores an error of an input function whose outputs exist.
    """
    models = Models(inputs)
    for name in models.used:
        models.files_of_source(name)
    check_encoder(inputs)
    OwnLosses(inputs).check()


def warnings_of_run(inputs: Inputs, values: Mapping[str, Any]) -> list[str]:
    """What a person is told whenever a run is planned.

    Args:
        inputs: What the rules read.
        values: The configuration as it was written.
    """
    without_effect = settings_without_effect(inputs.config, values)
    lines = [f"config: {line}" for line in without_effect]
    return [*lines, *warnings_of_encoder(inputs), *missing_shards(inputs.shards)]


def lock_directory() -> None:
    """Keep a second run out of the working directory while this process lives.

    In place of Snakemake's own lock, which a killed run leaves there. Raises UserError if another
    run holds it.
    """
    file = LOCK.open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UserError(
            f"Another snakemake is running in {Path.cwd()}; wait for it, or run in another "
            "directory (--directory)."
        ) from None
    _locks.append(file)


def check_models_are_staged(inputs: Inputs) -> None:
    """Raise UserError, without the hub, if a job on a cluster would need to fetch a model."""
    models = Models(inputs).used
    missing = [name for name in models if not Path(inputs.manifest_of_model(name)).exists()]
    if missing:
        raise UserError(
            f"HF_HUB_OFFLINE is set, and these models are not staged: {', '.join(missing)}. Run"
            " `make stage` first, where there is network: it fetches every model and prompt file"
            " that the configuration names."
        )


def check_harness(harness: Harness) -> None:
    """Raise UserError where the environment of lm-eval is wanted and not there."""
    for name in harness.names:
        check_environment(harness.python(name), f"evaluations.{name}.python")


def check_gpus_are_requested(
    resources: Mapping[str, Mapping[str, object]], planned: set[str]
) -> None:
    """Raise UserError for a rule that runs a model on SLURM and requests no GPU.

    Args:
        resources: Of all rules, by rule and name.
        planned: The rules with jobs to run.
    """
    for rule in rules_without_gpu(resources, RUN_A_MODEL):
        if rule in planned:
            raise UserError(
                f"{rule} requests no GPU. --set-resources on the command line replaces all of the"
                " profile's: write the change into a copy of the profile, or request gpu: 0"
                f" ({rule}:gpu=0) if it should run without."
            )
