"""The `wim` command: what is done by hand besides a run.

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


def _add_plan(commands: "Commands") -> None:
    plan = commands.add_parser("plan", help="what a run would do, why, and at what cost")
    plan.add_argument(
        "arguments",
        nargs="*",
        metavar="-- ARGUMENT",
        help="snakemake's, after a --, such as: -- --configfile mine.yaml -- dpo_checkpoint",
    )
    plan.set_defaults(run=_plan)


def _plan(arguments: argparse.Namespace) -> None:
    from wim.plan.dry_run import show_plan

    show_plan(arguments.arguments)


def _add_retry(commands: "Commands") -> None:
    retry = commands.add_parser(
        "retry", help="ask servers again for rows that have no answer, and for no others"
    )
    retry.add_argument("-n", "--dry-run", action="store_true", help="only show what would be done")
    retry.add_argument(
        "arguments",
        nargs="*",
        metavar="-- OPTION",
        help="snakemake's, after a --, such as: -- --configfile mine.yaml --cores 2",
    )
    retry.set_defaults(run=_retry)


def _retry(arguments: argparse.Namespace) -> None:
    from wim.plan.retry import retry

    if status := retry(arguments.arguments, dry=arguments.dry_run):
        sys.exit(status)


def _add_size(commands: "Commands") -> None:
    from wim.sizing.command import add_arguments, run

    size = commands.add_parser("size", help="GPU memory, host memory and GPU-hours of each stage")
    add_arguments(size)
    size.set_defaults(run=run)


def _add_winrate(commands: "Commands") -> None:
    from wim.evaluation.from_files.winrate_command import add_arguments, run

    winrate = commands.add_parser(
        "winrate", help="win rates from a file of AlpacaEval's annotations"
    )
    add_arguments(winrate)
    winrate.set_defaults(run=run)


def _add_mtbench(commands: "Commands") -> None:
    from wim.evaluation.from_files.mtbench_command import add_arguments, run

    mtbench = commands.add_parser("mtbench", help="scores from files of MT-Bench's judgements")
    add_arguments(mtbench)
    mtbench.set_defaults(run=run)


def _add_store(commands: "Commands") -> None:
    store = commands.add_parser("store", help="inspect and clean up the store of finished rows")
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
        help="delete parts last modified more than this number of days ago",
    )
    prune.add_argument("--yes", action="store_true", help="delete; without it, only show")
    prune.set_defaults(run=_store_prune)


def _store_stats(arguments: argparse.Namespace) -> None:
    from wim.store.maintenance import stages, survey

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
        print("Unreadable files, which runs skip and you may delete:", *unreadable, sep="\n")


def _store_compact(arguments: argparse.Namespace) -> None:
    from wim.store.maintenance import compact, stages, survey

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
    from wim.store.maintenance import delete, leftovers, older_parts, stages

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


def _add_accept(commands: "Commands") -> None:
    accept = commands.add_parser(
        "accept", help="count a change of code as cosmetic: a stage's outputs stay up to date"
    )
    accept.add_argument("stage", nargs="*", metavar="STAGE", help="name of a rule")
    accept.add_argument("--list", action="store_true", help="show what is accepted and forced")
    accept.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help=f"the store of rows; without it `store:` of {CONFIG}, else `store`",
    )
    accept.set_defaults(run=_accept)


def _accept(arguments: argparse.Namespace) -> None:
    from wim.provenance.code_changes import FILE, accept, changed_stages, check_stage

    if arguments.list:
        _list_changes()
        return
    if not arguments.stage:
        raise UserError("write the stage to accept, as `wim accept rate_candidates`, or --list.")
    for stage in arguments.stage:
        check_stage(stage)
    store, accepted = _store_folder(arguments), False
    for stage in arguments.stage:
        done = accept(stage, store)
        if done.code is None:
            made = (
                f"its {done.outputs} outputs are by the present code"
                if done.outputs
                else ("no output of it is recorded in this folder")
            )
            print(f"{stage}: nothing to accept: {made}")
            continue
        accepted = True
        print(f"{stage}: {done.outputs} outputs count as made by the present code")
        print(f"  code: {_before_and_now(done.code)}")
        if done.rows:
            print(f"  stored rows: {_before_and_now(done.rows)}")
        elif done.rows_unknown:
            print(
                f"  stored rows: {store / stage} does not say which code they were made by; "
                "a job that runs computes its rows again"
            )
        else:
            print("  stored rows: not needed, what decides them has not changed")
    if others := changed_stages():
        print(f"Also of changed code, and not accepted: {', '.join(others)}")
    if accepted:
        print(f"Written to {FILE}; keep it with the results. Look at the plan: snakemake -n")


def _before_and_now(codes: tuple[str, str]) -> str:
    before, now = codes
    return f"before {before[:12]}, now {now[:12]}"


def _list_changes() -> None:
    from wim.provenance.code_changes import read_changes, standing

    changes, relied_on = read_changes(), standing()
    if not changes.accepted and not changes.forced:
        print("nothing is accepted or forced in this folder")
    for stage, codes in sorted(changes.accepted.items()):
        for now, former in sorted(codes.items()):
            state = "" if now in relied_on.get(stage, {}) else " (not of the present code)"
            print(f"{stage}: accepted: {now[:12]} counts as {former[:12]}{state}")
    for stage, tokens in sorted(changes.forced.items()):
        print(f"{stage}: forced: {len(tokens)} times")


def _add_force(commands: "Commands") -> None:
    force = commands.add_parser(
        "force", help="make a stage and what follows run again, and compute its rows again"
    )
    force.add_argument("stage", metavar="STAGE", help="name of a rule")
    force.add_argument("--undo", action="store_true", help="take the last forcing back")
    force.set_defaults(run=_force)


def _force(arguments: argparse.Namespace) -> None:
    from wim.provenance.code_changes import force, unforce

    stage = arguments.stage
    if not arguments.undo:
        force(stage)
        print(
            f"{stage}: it and what follows run again, and its rows are computed again. The rows "
            "stored so far stay. Look at the plan: snakemake -n"
        )
    elif unforce(stage):
        print(
            f"{stage}: no longer forced; outputs made meanwhile run again, from the rows stored "
            "before. Look at the plan: snakemake -n"
        )
    else:
        print(f"{stage}: nothing to undo, it is not forced")


def _store_folder(arguments: argparse.Namespace) -> Path:
    """The store that is given, else the configuration's, else `store`."""
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


COMMANDS = (
    _add_plan,
    _add_retry,
    _add_size,
    _add_store,
    _add_accept,
    _add_force,
    _add_winrate,
    _add_mtbench,
)

if __name__ == "__main__":
    sys.exit(main())
