"""`wim store`: what is in the store of finished rows, and how it is cleaned up."""

import argparse

from wim.store_option import add_store_option, store_folder


def add_arguments(store: argparse.ArgumentParser) -> None:
    """The actions of the command, each with its options and the function that runs it."""
    actions = store.add_subparsers(required=True, metavar="ACTION")
    common = argparse.ArgumentParser(add_help=False)
    add_store_option(common, "the store")
    common.add_argument("--stage", metavar="NAME", help="this stage only")

    stats = actions.add_parser("stats", parents=[common], help="rows, parts and bytes per stage")
    stats.set_defaults(run=_stats)

    compact = actions.add_parser(
        "compact", parents=[common], help="merge parts, drop duplicates; safe during runs"
    )
    compact.set_defaults(run=_compact)

    prune = actions.add_parser("prune", parents=[common], help="delete parts not written lately")
    prune.add_argument(
        "--older-than",
        type=_days,
        required=True,
        metavar="DAYS",
        help="delete parts last modified more than this number of days ago",
    )
    prune.add_argument("--yes", action="store_true", help="delete; without it, only show")
    prune.set_defaults(run=_prune)


def _stats(arguments: argparse.Namespace) -> None:
    from wim.store.maintenance import stages, survey

    store = store_folder(arguments)
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
        print("Unreadable files, which runs skip and you may delete:", *unreadable, sep="\n")


def _compact(arguments: argparse.Namespace) -> None:
    from wim.store.maintenance import compact, stages, survey

    store = store_folder(arguments)
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


def _prune(arguments: argparse.Namespace) -> None:
    from wim.store.maintenance import delete, leftovers, older_parts, stages

    store = store_folder(arguments)
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


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise argparse.ArgumentTypeError(f"found {text!r}; write a number of days, 0 or more")
    return days
