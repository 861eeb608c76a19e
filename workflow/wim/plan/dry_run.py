"""What a run would do and why, in the user's words, before it is run: `wim plan`.

Snakemake plans. Its dry run is started as `python -m wim.plan.dry_run`, which also prints each job
announcement as JSON, with the rule and the files that Snakemake's own text leaves out.
"""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim import paths
from wim.errors import UserError
from wim.plan.api_costs import Estimate, estimates, total_line
from wim.plan.reasons import Job, reasons_in_words
from wim.plan.rows import WANTED, rows_wanted
from wim.tables.files import read_column, row_count

if TYPE_CHECKING:
    from wim.settings.config import Config

MARK = "wim.plan.dry_run: "
OF_PAIRS = ("train_dpo", "train_own_loss")
RULES = (
    "stage_prompts",
    "stage_model",
    "create_topics",
    "ingest_prompts",
    "shard_prompts",
    "select_prompts",
    "generate_dialogues",
    "rate_candidates",
    "rate_samples",
    "rate_aspects",
    "rate_by_label",
    "compare_candidates",
    "embed_critiques",
    "fit_heads",
    "score_candidates",
    "score_by_critique",
    "score_by_aspect",
    "combine_rewards",
    "pair_candidates",
    "pair_compared",
    "train_sft",
    "train_dpo",
    "train_own_loss",
    "take_baseline",
    "propose_loss",
    "check_loss",
    "train_discovered",
    "compare_discovered",
    "evaluate_discovered",
    "archive_losses",
    "discovery",
    "train_online_dpo",
    "train_reward_model",
    "check_convergence",
    "audit_critiques",
    "summary",
    "page",
    "export_pairs",
    "rounds",
    "sweep",
    "label_dialogues",
    "reward_gate",
    "judge_tuning",
    "check_bar",
    "reward_study",
    "evaluation_prompts",
    "read_answers",
    "find_leaks",
    "find_split_leaks",
    "measure_kl",
    "evaluate",
    "export_evaluation",
    "evaluated_card",
    "verdict",
    "stage_harness",
    "run_harness",
    "evaluate_harness",
    "track_evaluation",
    "costs",
)
# Tables with the tokens that a row took, and the column that has them.
TOKENS = {
    "generate_dialogues": "completion_tokens",
    "rate_candidates": "tokens",
    "rate_samples": "tokens",
    "rate_aspects": "tokens",
}
COMPUTED = re.compile(r"(\d+) (?:generated|judged|embedded)")
SHOWN = 4
AFTER_PROMPTS = """\
The prompts are sharded again, and what follows is planned after that. The shards that
come out changed will run in addition to the jobs above: dialogues, ratings, embeddings and what
follows, for new rows alone. If no shard changes, the jobs after shard_prompts do not run."""


@dataclass(frozen=True)
class DryRun:
    """What Snakemake would do.

    Attributes:
        jobs: The jobs that would run, target rules left out.
        config: The run's configuration, as it is written.
        folder: Its working directory.
        notes: What Snakemake says beside.
    """

    jobs: list[Job]
    config: Mapping[str, Any]
    folder: Path
    notes: list[str]


def dry_run(arguments: Sequence[str]) -> DryRun:
    """What `snakemake ARGUMENTS` would do.

    If Snakemake fails, this process ends with its message and its exit status.
    """
    command = [sys.executable, "-m", "wim.plan.dry_run", "--dry-run", "--nocolor", *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    lines = done.stdout.splitlines()
    if done.returncode:
        print(*(line for line in lines if not line.startswith(MARK)), sep="\n", file=sys.stderr)
        sys.exit(done.returncode)
    announced = [json.loads(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]
    jobs = [Job(**each["job"]) for each in announced if "job" in each]
    run: dict[str, Any] = next((each for each in announced if "config" in each), {})
    return DryRun(
        jobs=[job for job in jobs if job.output],
        config=run.get("config", {}),
        folder=Path(run.get("folder", ".")),
        notes=[
            line
            for line in lines
            if "missing provenance" in line or line.startswith("Rules with missing metadata")
        ],
    )


def show_plan(arguments: Sequence[str]) -> None:
    """Print the plan of `snakemake ARGUMENTS`; ends as `dry_run` does if it fails."""
    from wim.settings.load import load_config

    plan = dry_run(arguments)
    with chdir(plan.folder):
        print(*report(plan.jobs, load_config(plan.config)), sep="\n")
    for line in plan.notes:
        print(f"Snakemake adds: {line}")


def report(jobs: Sequence[Job], config: "Config") -> Iterator[str]:
    """The jobs rule by rule, why they would run, and at what cost; from the working directory."""
    if not jobs:
        yield "Nothing to do: all that was requested is there and up to date."
        return
    makers = {path: job.rule for job in jobs for path in job.output}
    count = f"{len(jobs)} jobs" if len(jobs) > 1 else "1 job"
    yield f"{count} would run. Times and tokens are estimates from earlier runs."
    order = {rule: place for place, rule in enumerate(RULES)}
    of_apis: list[Estimate] = []
    for rule in sorted({job.rule: None for job in jobs}, key=lambda name: order.get(name, 99)):
        own = [job for job in jobs if job.rule == rule]
        yield f"\n{rule}: {len(own)} job{'s' * (len(own) > 1)} ({_shortened(own)})"
        whys: dict[tuple[str, ...], list[Job]] = {}
        for job in own:
            whys.setdefault(tuple(reasons_in_words(job, makers)), []).append(job)
        for words, alike in whys.items():
            of = f" ({_shortened(alike)})" if len(whys) > 1 else ""
            yield from (f"  why   {each}{of}" for each in words)
        if rule in WANTED or rule in OF_PAIRS:
            missing: list[tuple[Job, int | None]] = []
            yield from _cost(rule, own, makers, config, missing)
            found = list(estimates(rule, missing, config))
            yield from (one.line for one in found)
            of_apis += found
    if any(job.rule == "shard_prompts" for job in jobs) and "generate_dialogues" not in {
        job.rule for job in jobs
    }:
        yield f"\n{AFTER_PROMPTS}"
    if of_apis:
        yield f"\n{total_line(of_apis)}"


def _shortened(jobs: Sequence[Job]) -> str:
    names = ["/".join(job.wildcards.values()) for job in jobs]
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join([*sorted(names)[:SHOWN], *more]) or "once for all"


def _cost(
    rule: str,
    jobs: Sequence[Job],
    makers: Mapping[str, str],
    config: "Config",
    to_compute: list[tuple[Job, int | None]],
) -> Iterator[str]:
    """Rows wanted and known, and the estimate for those to compute, as far as can be known now.

    to_compute: takes each job, and how many rows it has to compute, or None.
    """
    ready = [
        job for job in jobs if all(path not in makers and Path(path).exists() for path in job.input)
    ]
    wanted = missing = 0
    for job in ready:
        try:
            of_job = rows_wanted(job, config)
        except UserError as error:
            yield f"  rows  unknown: {error}"
            return
        wanted, missing = wanted + of_job[0], missing + of_job[1]
        to_compute.append((job, of_job[1]))
    to_compute += [(job, None) for job in jobs if job not in ready]
    if ready and rule in WANTED:
        unit = "texts" if rule == "embed_critiques" else "rows "
        yield f"  {unit} wanted {wanted}, known {wanted - missing}, to compute {missing}"
    elif ready:
        yield f"  rows  {wanted} pairs"
    if len(ready) < len(jobs):
        some = f" for {len(jobs) - len(ready)} of {len(jobs)} jobs" if ready else ""
        yield f"  rows  unknown{some} until the stage before has run"
    seconds, rows, tokens, in_table = _earlier(rule, jobs[0])
    if not rows:
        yield "  cost  no earlier run to estimate from"
        return
    each = f" and {tokens / in_table:.0f} tokens" if tokens else ""
    what = "pair" if rule in OF_PAIRS else "row"
    yield f"  cost  earlier: {seconds / rows:.2g} s{each} a {what}, in {seconds:.0f} s of {rows} {what}s"
    if ready:
        total = f", {tokens / in_table * missing:,.0f} tokens" if tokens else ""
        yield f"  cost  estimate: {seconds / rows * missing:,.0f} s of job time{total}"


def _earlier(rule: str, job: Job) -> tuple[float, int, int, int]:
    """Of the last runs: seconds and the rows computed in them; tokens and rows of the tables."""
    suffix = "".join(Path(job.output[0]).parts[1:2])
    seconds, rows, tokens, in_tables = 0.0, 0, 0, 0
    for benchmark in sorted(Path("benchmarks", rule).rglob("*.tsv")):
        place = benchmark.relative_to(Path("benchmarks", rule)).with_suffix("")
        stage = "pairs" if rule in OF_PAIRS else suffix
        table = Path(paths.table(stage, place.as_posix()))
        if not table.exists():
            continue
        log = Path(paths.log(f"{rule}/{place.as_posix()}"))
        counts = COMPUTED.findall(log.read_text(encoding="utf-8")) if log.exists() else []
        computed = int(counts[-1]) if counts else row_count(table)
        with benchmark.open(encoding="utf-8") as file:
            spent = [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
        # A run that found all its rows in the store says nothing of what a row costs.
        if computed and spent:
            seconds, rows = seconds + spent[-1], rows + computed
        if column := TOKENS.get(rule):
            values = read_column(table, column)
            tokens, in_tables = tokens + sum(values), in_tables + len(values)
    return seconds, rows, tokens, in_tables


def _announce_jobs(arguments: list[str]) -> None:
    """Run snakemake, and print its configuration and jobs as JSON on marked lines."""
    from snakemake import cli  # type: ignore[import-untyped]
    from snakemake.common.configfile import load_configfile  # type: ignore[import-untyped]
    from snakemake.logging import logger  # type: ignore[import-untyped]
    from snakemake.utils import update_config  # type: ignore[import-untyped]

    def tell(record: Any) -> bool:
        event = getattr(getattr(record, "event", None), "value", None)
        announced: dict[str, object] = {}
        if event == "workflow_started":
            config: dict[str, object] = {}
            for path in record.configfiles:
                update_config(config, load_configfile(path))
            update_config(config, cli.parse_config(cli.parse_args(arguments)[1].config))
            announced = {"config": config, "folder": str(Path.cwd())}
        elif event == "job_info":
            names = ("wildcards", "reason", "input", "output", "benchmark")
            announced = {
                "job": {"rule": record.rule_name} | {name: getattr(record, name) for name in names}
            }
        if announced:
            print(MARK + json.dumps(announced, default=str), flush=True)
        return True

    logger.addFilter(tell)
    cli.main(arguments)


if __name__ == "__main__":
    _announce_jobs(sys.argv[1:])
