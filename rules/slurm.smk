"""SLURM: reject resources that the plugin ignores; retry its commands when the controller is busy.

Reads the resources of all rules, so it is included last; writes nothing.
"""

from wim.cluster.resource_checks import check_resources
from wim.cluster.slurm_retry import put_retry_wrappers_on_path
from wim.dag.snakemake_internals import resources_by_rule

if is_main_process(workflow):
    check_resources(resources_by_rule(workflow))
    put_retry_wrappers_on_path(Path(workflow.basedir))
