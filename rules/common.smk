"""The configuration, and what params and wildcards are made of.

Reads the merged configuration; writes nothing.
"""

import fcntl
import os
import re
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import contains_wildcard

from wim.provenance.code_changes import effective_code, script_code
from wim.settings.load import load_config
from wim.provenance.digest import canonical_json
from wim.errors import UserError
from wim.settings.checks.no_effect import settings_without_effect

GIVEN = ["--config"] if workflow.config_settings.config else []

try:
    CONFIG = load_config(
        config, ", ".join([*map(str, workflow.configfiles), *GIVEN]) or "config"
    )
except UserError as error:
    raise WorkflowError(error) from None

if workflow.is_main_process:
    for line in settings_without_effect(CONFIG, config):
        logger.warning(f"config: {line}")

SHARDS = [f"{number:03d}" for number in range(CONFIG.prompts.shards)]
ONLINE = [name for name, arm in CONFIG.arms.items() if arm.method == "online_dpo"]
OFFLINE = [name for name in CONFIG.arms if name not in ONLINE]
PANELS = [name for name, each in CONFIG.rewards.items() if each.kind == "panel"]
RATING_JUDGES = [name for name, each in CONFIG.judges.items() if each.rates]
CRITICS = [name for name, each in CONFIG.judges.items() if each.criticises]
JUDGES_OF_PAIRS = [name for name, each in CONFIG.judges.items() if not each.rates]
COMPARED_ARMS = [name for name, arm in CONFIG.arms.items() if arm.comparison]


def one_of(names):
    """A pattern of wildcards that matches these names and no other."""
    return "|".join(map(re.escape, names)) or "(?!)"


# The policies that a model speaks for: the actor, its checkpoints, and those of the configuration.
SPEAKING = "|".join(["base", r".+-round\d+", *map(re.escape, CONFIG.policies)])


wildcard_constraints:
    shard=r"\d{3}",
    round=r"\d+",
    policy=f"labelled|retest|{SPEAKING}",
    model=one_of(CONFIG.models),
    judge=one_of(CONFIG.judges),
    reward=one_of(CONFIG.rewards),
    arm=one_of(CONFIG.arms),
    sft=one_of(CONFIG.sft),
    reward_model=one_of(CONFIG.reward_models),


def spec(**settings):
    """Settings as one canonical text, which the params trigger compares."""
    values = {
        name: value.model_dump(mode="json") if hasattr(value, "model_dump") else value
        for name, value in settings.items()
    }
    return canonical_json(values)


def literally(value):
    """A function that gives a value. In a plain text Snakemake reads {word} as a wildcard."""
    return lambda wildcards: value


def code_of(script):
    """The digest of the code that a script really executes, or what it is accepted as."""
    try:
        return effective_code(script, script_code(script))
    except UserError as error:
        raise WorkflowError(error) from None


if not workflow.is_main_process:
    # SLURM's warning reaches every process of a job; the script answers it, snakemake waits.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


HELD = []


def hold_directory():
    """Keep a second run out of the working directory while this process lives.

    In place of Snakemake's own lock, which a killed run leaves behind.
    """
    file = open(".snakemake/run.lock", "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"Another snakemake is running in {os.getcwd()}; wait for it, or run in another "
            "directory (--directory)."
        ) from None
    HELD.append(file)


def file_at(path, key):
    """A file or folder that the configuration names.

    Looked for from the working directory, then from the workflow's own folder, which holds
    the embedded default.
    """
    if contains_wildcard(path):
        raise WorkflowError(
            f"config: {key}: found '{path}', and Snakemake takes {{...}} in a file's name for a"
            " wildcard; rename it, or write the path of a link without braces."
        )
    for place in (Path(path).expanduser(), Path(workflow.basedir) / path):
        if place.exists():
            return str(place)
    raise WorkflowError(
        f"config: {key}: found '{path}', and there is no such file or folder; write its path "
        "from the working directory."
    )
