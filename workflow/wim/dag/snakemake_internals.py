"""What the workflow needs of Snakemake beyond its documented interface, gathered in one file.

Snakemake offers no public way to ask which configuration files were given, what a rule requests,
which jobs are planned, or where they run. The attributes below answer that in Snakemake 9.27; a
newer minor version is tried with the tests of this file before its bound is raised.
"""

import signal
import threading
from typing import Any


def configuration_is_given(workflow: Any) -> bool:
    """Whether the command line names configuration files, which then replace the default one."""
    return bool(workflow.overwrite_configfiles)


def configuration_files(workflow: Any) -> list[str]:
    """The configuration files, in the order in which later ones add to earlier ones."""
    return [str(path) for path in workflow.configfiles]


def configuration_source(workflow: Any) -> str:
    """Where the configuration comes from, for messages: its files, and `--config` if given."""
    given = ["--config"] if workflow.config_settings.config else []
    return ", ".join([*configuration_files(workflow), *given]) or "config"


def is_main_process(workflow: Any) -> bool:
    """Whether this process plans the run; the others each run one job of it."""
    return bool(workflow.is_main_process)


def executor(workflow: Any) -> str:
    """The name of what runs the jobs: local, slurm, ..."""
    return str(workflow.executor_plugin.name)


def submits_jobs(workflow: Any) -> bool:
    """Whether jobs run elsewhere than in processes of this machine."""
    return not workflow.executor_plugin.common_settings.local_exec


def resources_by_rule(workflow: Any) -> dict[str, dict[str, object]]:
    """Every rule's resources by name: the rule's own and those of the command line and profiles."""
    return {
        rule.name: {
            name: resource.raw if resource.is_evaluable() else resource.value
            for name, resource in rule.resources.items()
        }
        for rule in workflow.rules
    }


def planned_rules(workflow: Any) -> set[str]:
    """The names of the rules with jobs to run."""
    return {job.rule.name for job in workflow.dag.needrun_jobs()}


def stop_on_sigterm(workflow: Any) -> None:
    """Have SIGTERM stop a run in order, whatever it does at that moment.

    Snakemake's own handler waits for a lock, which the scheduler that it interrupts may hold: the
    run then hangs for good. In a thread of its own it waits until the scheduler gives the lock back.
    """
    stop = workflow.scheduler.exit_gracefully

    def stop_beside_scheduler(*_: object) -> None:
        threading.Thread(target=stop, daemon=True).start()

    signal.signal(signal.SIGTERM, stop_beside_scheduler)


# By checkpoint, how many outputs of checkpoints were there when it was asked, and what it raised.
_answers: dict[Any, tuple[int, Any]] = {}


def get_once(checkpoint: Any) -> None:
    """Do as a checkpoint's `get`, for one without wildcards, but ask it once for all jobs.

    Snakemake's own goes through all outputs each time, which for thousands of outputs and of jobs
    takes longer than everything else in planning. Raises IncompleteCheckpointException, by which
    Snakemake learns that a job waits for the checkpoint.
    """
    from snakemake.exceptions import (  # type: ignore[import-untyped]
        IncompleteCheckpointException,
    )

    # Finished outputs are added to this set, and never taken out of it.
    there = len(checkpoint.checkpoints.created_output)
    if checkpoint not in _answers or _answers[checkpoint][0] != there:
        try:
            checkpoint.get()
            _answers[checkpoint] = there, None
        except IncompleteCheckpointException as incomplete:
            _answers[checkpoint] = there, (incomplete.rule, incomplete.targetfile)
    if raised := _answers[checkpoint][1]:
        raise IncompleteCheckpointException(*raised)


def has_wildcards(path: str) -> bool:
    """Whether Snakemake would read a path as a pattern."""
    from snakemake.io import contains_wildcard  # type: ignore[import-untyped]

    return bool(contains_wildcard(path))
