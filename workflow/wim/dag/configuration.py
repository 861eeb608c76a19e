"""The configuration of a run, from what Snakemake was given."""

from collections.abc import Mapping
from typing import Any

from wim.dag.snakemake_internals import (
    configuration_files,
    configuration_source,
    is_main_process,
)
from wim.settings.config import Config
from wim.settings.load import load_config
from wim.settings.yaml_text import check_yaml_text


def configuration_of(workflow: Any, values: Mapping[str, Any]) -> Config:
    """The checked configuration; the process that plans the run also reads the files themselves.

    Args:
        workflow: Snakemake's.
        values: What Snakemake read from the configuration files and `--config`.

    Raises:
        UserError: One line per problem.
    """
    if is_main_process(workflow):
        check_yaml_text(configuration_files(workflow))
    return load_config(values, configuration_source(workflow))
