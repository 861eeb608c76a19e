"""The `wim` command: what is done beside a run, by hand.

A further command is a function that adds its parser and sets `run`, named in COMMANDS. Heavy
imports stay inside the functions that run.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wim.errors import UserError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

CONFIG = Path("config/config.yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="wim", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_command in COMMANDS:
        add_command(commands)
    chosen = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = chosen.run
    try:
        run(chosen)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _add_store(commands: "Commands") -> None:
    store = commands.add_parser("store", help="look after the store of finished rows")
    actions = store.add_subparsers(required=True, metavar="ACTION")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help=f"the store; without it `store:` of {CONFIG}, else `store`",
    )
    common.add_argument("--stage", metavar="NAME", help="this stage only")

    stats = actions.add_parser("stats", parents=[common], help="rows, parts and bytes per stage")
    stats.set_defaults(run=_store_stats)

    compact = actions.add_parser(
        "compact", parents=[common], help="merge parts, drop duplicates; safe during runs"
    )
    compact.set_defaults(run=_store_compact)

    prune = actions.add_parser("prune", parents=[common], help="delete parts not written lately")
    prune.add_argument(
        "--older-than",
        type=_days,
        required=True,
        metavar="DAYS",
        help="parts last modified more than so many days ago",
    )
    prune.add_argument("--yes", action="store_true", help="delete; without it, only show")
    prune.set_defaults(run=_store_prune)


def _store_stats(arguments: argparse.Namespace) -> None:
    from wim.store_tending import stages, survey

    store = _store_folder(arguments)
    folders = stages(store, arguments.stage)
    print(f"store: {store}")
    columns = ("stage", "rows", "keys", "duplicates", "parts", "MB", "unreadable")
    print("{:<16}{:>12}{:>12}{:>12}{:>8}{:>12}{:>12}".format(*columns))
    unreadable = []
    for folder in folders:
        found = survey(folder)
        print(
            f"{found.stage:<16}{found.rows:>12}{found.keys:>12}{found.duplicates:>12}"
            f"{found.parts:>8}{found.bytes / 1e6:>12.1f}{len(found.unreadable):>12}"
        )
        unreadable += found.unreadable
    if unreadable:
        print("Unreadable files, which runs pass over and you may delete:", *unreadable, sep="\n")


def _store_compact(arguments: argparse.Namespace) -> None:
    from wim.store_tending import compact, stages, survey

    store = _store_folder(arguments)
    print(f"store: {store}")
    for folder in stages(store, arguments.stage):
        before = survey(folder)
        compact(folder)
        after = survey(folder)
        print(
            f"{folder.name}: {before.parts} parts of {before.bytes / 1e6:.1f} MB are now "
            f"{after.parts} of {after.bytes / 1e6:.1f} MB, {after.keys} keys, "
            f"{before.duplicates - after.duplicates} duplicates dropped"
        )


def _store_prune(arguments: argparse.Namespace) -> None:
    from wim.store_tending import delete, leftovers, older_parts, stages

    store = _store_folder(arguments)
    print(f"store: {store}")
    doomed = []
    for folder in stages(store, arguments.stage):
        doomed += older_parts(folder, arguments.older_than) + leftovers(folder)
    for path in doomed:
        print(path)
    verb = "would be deleted; add --yes to delete them"
    if arguments.yes:
        delete(doomed)
        verb = "deleted"
    print(f"{len(doomed)} files {verb}")


def _store_folder(arguments: argparse.Namespace) -> Path:
    """The store that is asked for, else the configuration's, else `store`."""
    if arguments.store is not None:
        return Path(arguments.store)
    import yaml

    try:
        configured = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["store"]
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        configured = None
    return Path(configured if isinstance(configured, str) else "store")


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise argparse.ArgumentTypeError(f"found {text!r}; write a number of days, 0 or more")
    return days


COMMANDS = (_add_store,)

if __name__ == "__main__":
    sys.exit(main())
