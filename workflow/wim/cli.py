"""The `wim` command: what is done by hand besides a run.

A further command is a function that adds its parser and sets `run`, named in COMMANDS. Heavy
imports stay inside the functions that run.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wim.errors import UserError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


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


def _add_costs(commands: "Commands") -> None:
    from wim.reports.costs_command import add_arguments, show_costs

    costs = commands.add_parser(
        "costs", help="hours, GPU-hours, tokens and money of each stage so far"
    )
    add_arguments(costs)
    costs.set_defaults(run=show_costs)


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


def _add_preview(commands: "Commands") -> None:
    from wim.preview.command import add_arguments, preview

    parser = commands.add_parser(
        "preview", help="a few prompts through actor, judges, encoder and rewards, printed"
    )
    add_arguments(parser)
    parser.set_defaults(run=preview)


def _add_sample_pairs(commands: "Commands") -> None:
    from wim.viewing.sample_command import add_arguments, sample_pairs

    sample = commands.add_parser(
        "sample-pairs", help="a page of the pairs that are worth a person's label"
    )
    add_arguments(sample)
    sample.set_defaults(run=sample_pairs)


def _add_push(commands: "Commands") -> None:
    from wim.exporting.push_command import add_arguments, push_folder

    parser = commands.add_parser(
        "push", help="upload a data set or a checkpoint to the Hugging Face hub"
    )
    add_arguments(parser)
    parser.set_defaults(run=push_folder)


def _add_bundle(commands: "Commands") -> None:
    from wim.bundling.command import add_bundle_arguments, bundle

    parser = commands.add_parser(
        "bundle", help="pack a run and its environment for a machine without internet"
    )
    add_bundle_arguments(parser)
    parser.set_defaults(run=bundle)


def _add_unpack(commands: "Commands") -> None:
    from wim.bundling.command import add_unpack_arguments, unpack

    parser = commands.add_parser("unpack", help="check a bundle and make its environment")
    add_unpack_arguments(parser)
    parser.set_defaults(run=unpack)


def _add_store(commands: "Commands") -> None:
    from wim.store.command import add_arguments

    add_arguments(
        commands.add_parser("store", help="inspect and clean up the store of finished rows")
    )


def _add_accept(commands: "Commands") -> None:
    from wim.provenance.command import accept_stages, add_accept_arguments

    accept = commands.add_parser(
        "accept", help="count a change of code as cosmetic: a stage's outputs stay up to date"
    )
    add_accept_arguments(accept)
    accept.set_defaults(run=accept_stages)


def _add_force(commands: "Commands") -> None:
    from wim.provenance.command import add_force_arguments, force_stage

    force = commands.add_parser(
        "force", help="make a stage and what follows run again, and compute its rows again"
    )
    add_force_arguments(force)
    force.set_defaults(run=force_stage)


COMMANDS = (
    _add_plan,
    _add_retry,
    _add_size,
    _add_costs,
    _add_preview,
    _add_sample_pairs,
    _add_push,
    _add_bundle,
    _add_unpack,
    _add_store,
    _add_accept,
    _add_force,
    _add_winrate,
    _add_mtbench,
)

if __name__ == "__main__":
    sys.exit(main())
