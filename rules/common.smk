"""The configuration, and what params and wildcards are made of.

Reads the merged configuration; writes nothing.
"""

import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from wim.config import load_config
from wim.digest import canonical_json, code_digest
from wim.errors import UserError

GIVEN = ["--config"] if workflow.config_settings.config else []

try:
    CONFIG = load_config(
        config, ", ".join([*map(str, workflow.configfiles), *GIVEN]) or "config"
    )
except UserError as error:
    raise WorkflowError(error) from None

SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"
SHARDS = [f"{number:03d}" for number in range(CONFIG.prompts.shards)]


wildcard_constraints:
    shard=r"\d{3}",
    round=r"\d+",
    policy=r"base|.+-round\d+",
    model="|".join(CONFIG.models),
    judge="|".join(CONFIG.judges),
    reward="|".join(CONFIG.rewards),
    arm="|".join(CONFIG.arms),


def spec(**settings):
    """Settings as one canonical text, which the params trigger compares."""
    values = {
        name: value.model_dump(mode="json") if hasattr(value, "model_dump") else value
        for name, value in settings.items()
    }
    return canonical_json(values)


def code_of(script):
    """The digest of the code that a script really executes."""
    return code_digest(SCRIPTS / f"{script}.py")


def file_at(path, key):
    """A file or folder that the configuration names.

    Looked for from the working directory, then from the workflow's own folder, which holds
    the embedded default.
    """
    for place in (Path(path).expanduser(), Path(workflow.basedir) / path):
        if place.exists():
            return str(place)
    raise WorkflowError(
        f"config: {key}: found '{path}', and there is no such file or folder; write its path "
        "from the working directory."
    )
