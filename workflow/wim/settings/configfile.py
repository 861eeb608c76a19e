"""The configuration of commands that are started without Snakemake."""

import argparse
from pathlib import Path

import yaml

from wim.errors import UserError
from wim.settings.config import Config
from wim.settings.load import load_config
from wim.settings.yaml_text import check_yaml_text

CONFIG = Path("config/config.yaml")


def add_configfile(parser: argparse.ArgumentParser) -> None:
    """Add the option `--configfile`."""
    parser.add_argument(
        "--configfile", type=Path, metavar="FILE", help=f"as in snakemake; without it {CONFIG}"
    )


def config_of(path: Path | None) -> Config:
    """The configuration in a file; without one that of the working directory, or the default.

    Raises:
        UserError: With file and key, for what is no configuration.
    """
    if path is None and not CONFIG.exists():
        return load_config({})
    path = path or CONFIG
    if path.exists():
        check_yaml_text([path])
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: no configuration could be read: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: found {type(values).__name__}; write keys and values.")
    return load_config(values, str(path))
