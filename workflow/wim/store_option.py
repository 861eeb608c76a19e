"""The option `--store` of commands: the folder of stored rows, by default the configuration's."""

import argparse
from pathlib import Path

CONFIG = Path("config/config.yaml")


def add_store_option(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add the option, described as `meaning`."""
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help=f"{meaning}; without it `store:` of {CONFIG}, else `store`",
    )


def store_folder(arguments: argparse.Namespace) -> Path:
    """The store that `--store` names, else the configuration's, else `store`."""
    if arguments.store is not None:
        return Path(arguments.store)
    import yaml

    try:
        configured = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["store"]
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        configured = None
    return Path(configured if isinstance(configured, str) else "store")
