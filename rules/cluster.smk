"""What a cluster needs: requests that are heard, and patience with a busy scheduler.

Reads the resources of all rules, so it is included last; writes nothing.
"""

from wim.fetch.hub import user_is_offline
from wim.cluster.slurm_retry import use_patient_commands
from wim.cluster.resource_checks import refusals


def requests_of(rule):
    """A rule's resources by name: those of the rule, of --default-resources and --set-resources."""
    return {
        name: resource.raw if resource.is_evaluable() else resource.value
        for name, resource in rule.resources.items()
    }


if workflow.is_main_process:
    refused = [
        line
        for each in workflow.rules
        for line in refusals(each.name, requests_of(each))
    ]
    if refused:
        raise WorkflowError("\n".join(["These requests would not be heard:", *refused]))
    use_patient_commands(Path(workflow.basedir))


def check_gpus_are_asked_for():
    """Keep rules that run a model from waiting in a queue for a node without a GPU."""
    if workflow.executor_plugin.name != "slurm":
        return
    planned = {job.rule.name for job in workflow.dag.needrun_jobs()}
    for each in (each for each in workflow.rules if each.name in planned):
        asked = {"batch_size", "gpu", "gres"} & set(each.resources)
        if asked == {"batch_size"}:
            raise WorkflowError(
                f"{each.name} asks for no GPU. --set-resources on the command line takes the place"
                " of all of the profile's: write the change into a copy of the profile, or ask for"
                f" gpu: 0 ({each.name}:gpu=0) if it shall run without."
            )


def check_models_are_staged():
    """Without the hub, refuse a run on a cluster that would need it, before a job is submitted."""
    if workflow.executor_plugin.common_settings.local_exec or not user_is_offline():
        return
    missing = [
        name for name in used_models() if not os.path.exists(manifest_of_model(name))
    ]
    if missing:
        raise WorkflowError(
            f"HF_HUB_OFFLINE is set, and these models are not staged: {', '.join(missing)}. Run"
            " `make stage` first, where there is network: it fetches every model and prompt file"
            " that the configuration names."
        )
