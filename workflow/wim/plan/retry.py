"""Asks servers again for the rows that have no answer: `wim retry`.

A row that failed is in no store, so that its table is made again from the stored answers and from
new ones for what failed. Which tables these are, they say themselves: nothing else is noted down,
and a retry that is interrupted is gone on with by another one, or by a run.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

from wim import paths
from wim.errors import UserError
from wim.paths import at
from wim.plan.dry_run import dry_run, report
from wim.plan.reasons import Job
from wim.plan.rows import model_sources
from wim.tables.files import failed_rows
from wim.tables.schemas import COMPARISONS, DIALOGUES, RATINGS

if TYPE_CHECKING:
    from wim.settings.config import Config

ANSWERED = {paths.DIALOGUES: DIALOGUES, paths.RATINGS: RATINGS, paths.COMPARISONS: COMPARISONS}
WILDCARDS = ("policy", "comparison", "judge", "shard")
NONE_FAILED = (
    "No table has a row that a server did not answer. (Tables that an interrupted retry has not "
    "made again are made by `snakemake`.)"
)


def retry(options: Sequence[str], dry: bool) -> int:
    """Make the tables again that have rows without an answer from a server.

    Args:
        options: Snakemake's, such as --configfile; no targets.
        dry: Only print what would be done.

    Returns:
        The exit status, Snakemake's own if it fails.

    Raises:
        UserError: The options name targets.
    """
    from wim.settings.load import load_config

    if "--" in options:
        raise UserError("wim retry takes no targets: it finds the tables itself.")
    folder = _directory(options)
    failed = tables_with_failed_rows(folder)
    plan = dry_run(_forced(options, list(failed))) if failed else None
    config = load_config(plan.config) if plan else None
    jobs = {path: job for job in plan.jobs for path in job.output} if plan else {}
    of_servers = {
        path: count
        for path, count in failed.items()
        if config and path in jobs and _asks_a_server(jobs[path], config)
    }
    later = [path for path in of_servers if _follows_training(jobs[path], jobs)]
    wanted = {path: count for path, count in of_servers.items() if path not in later}
    if later:
        print(
            f"{len(later)} tables follow from a training that runs again, and are left to that run: "
            f"{', '.join(later)}"
        )
    if not wanted:
        print(NONE_FAILED)
        return 0
    for path, count in wanted.items():
        print(f"{path}: {count} rows without an answer")
    forced = _forced(options, list(wanted))
    plan = plan if plan and len(wanted) == len(failed) else dry_run(forced)
    with chdir(plan.folder):
        print(*report(plan.jobs, load_config(plan.config)), sep="\n")
    if dry:
        return 0
    status = subprocess.run([sys.executable, "-m", "snakemake", *forced], check=False).returncode
    print(_outcome(wanted, tables_with_failed_rows(folder), status))
    return status


def tables_with_failed_rows(folder: Path) -> dict[str, int]:
    """The tables below a working directory with rows that have no answer, and how many they are."""
    found = {}
    for pattern, table in ANSWERED.items():
        for path in sorted(folder.glob(at(pattern, **dict.fromkeys(WILDCARDS, "*")))):
            if count := failed_rows(path, table):
                found[path.relative_to(folder).as_posix()] = count
    return found


def _directory(options: Sequence[str]) -> Path:
    """The working directory that the options name."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-d", "--directory", type=Path, default=Path())
    found: Path = parser.parse_known_args(list(options))[0].directory
    return found


def _forced(options: Sequence[str], tables: Sequence[str]) -> list[str]:
    """Snakemake's arguments to make these tables again, and only what they need."""
    return [*options, "--forcerun", *tables, "--", *tables]


def _asks_a_server(job: Job, config: "Config") -> bool:
    """Whether a job's rows may have another answer the next time."""
    return any(source.engine != "local" for source in model_sources(job, config))


def _follows_training(job: Job, makers: Mapping[str, Job]) -> bool:
    """Whether a job of a plan reads something that the plan would train first."""
    before = [makers[path] for path in job.input if path in makers]
    return any(each.rule.startswith("train_") or _follows_training(each, makers) for each in before)


def _outcome(before: Mapping[str, int], after: Mapping[str, int], status: int) -> str:
    if status:
        return "Not done: answers are kept as they came. Run `wim retry` or `snakemake` to go on."
    left = sum(after.get(path, 0) for path in before)
    return (
        f"{sum(before.values()) - left} of {sum(before.values())} rows have an answer now, {left} "
        "failed again. What follows from them runs with the next `snakemake`."
    )
