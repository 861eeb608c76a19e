"""`wim accept` and `wim force`: what a change of code means for finished results."""

import argparse

from wim.errors import UserError
from wim.store_option import add_store_option, store_folder


def add_accept_arguments(accept: argparse.ArgumentParser) -> None:
    """The options of `wim accept`."""
    accept.add_argument("stage", nargs="*", metavar="STAGE", help="name of a rule")
    accept.add_argument("--list", action="store_true", help="show what is accepted and forced")
    add_store_option(accept, "the store of rows")


def accept_stages(arguments: argparse.Namespace) -> None:
    """Accept the code of stages, or list what is accepted and forced, and print what was done."""
    from wim.provenance.accepting import accept, changed_stages, check_stage
    from wim.provenance.code_changes import FILE

    if arguments.list:
        _list_changes()
        return
    if not arguments.stage:
        raise UserError("write the stage to accept, as `wim accept rate_candidates`, or --list.")
    for stage in arguments.stage:
        check_stage(stage)
    store, accepted = store_folder(arguments), False
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


def add_force_arguments(force: argparse.ArgumentParser) -> None:
    """The options of `wim force`."""
    force.add_argument("stage", metavar="STAGE", help="name of a rule")
    force.add_argument("--undo", action="store_true", help="take the last forcing back")


def force_stage(arguments: argparse.Namespace) -> None:
    """Force a stage, or undo its last forcing, and print what was done."""
    from wim.provenance.accepting import force, unforce

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
