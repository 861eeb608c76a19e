"""What a run would do and why, in the user's words, before it is run: `wim plan`.

Snakemake plans. Its dry run is started as `python -m wim.plan`, which also prints each job
announcement as JSON, with the rule and the files that Snakemake's own text leaves out.
"""

import ast
import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn

from wim.errors import UserError

if TYPE_CHECKING:
    from wim.config import Config
    from wim.engines.base import ChoiceLogprobs, Completion, Request
    from wim.settings.sampling import Sampling

MARK = "wim.plan: "
RULES = (
    *("ingest_prompts", "shard_prompts", "stage_model", "generate_dialogues", "rate_candidates"),
    *("embed_critiques", "score_candidates", "pair_candidates", "train_dpo", "summary"),
)
# Tables with the tokens that a row took, and the column that has them.
TOKENS = {"generate_dialogues": "completion_tokens", "rate_candidates": "tokens"}
COMPUTED = re.compile(r"(\d+) (?:generated|judged|embedded)")
SHOWN = 4
BEHIND_PROMPTS = """\
The prompts are shared out anew, and what is behind them is planned again then. The shards that
come out changed will run in addition to the jobs above: dialogues, ratings, embeddings and what
follows, for new rows alone. If no shard changes, the jobs behind shard_prompts do not run."""
REASON = re.compile(
    r"; (?=(?:Missing output|Incomplete output|Updated input|Input files|Output file|Job provides"
    r"|Set of input|Code has|Params have|Software env))"
)


@dataclass(frozen=True)
class Job:
    """A job of the dry run; `reason` is in Snakemake's words."""

    rule: str
    wildcards: Mapping[str, str]
    reason: str
    input: Sequence[str]
    output: Sequence[str]
    benchmark: str | None


def show_plan(arguments: Sequence[str]) -> int:
    """Print the plan of `snakemake ARGUMENTS`; the exit status, Snakemake's own if it fails."""
    from wim.config import load_config

    command = [sys.executable, "-m", "wim.plan", "--dry-run", "--nocolor", *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    lines = done.stdout.splitlines()
    if done.returncode:
        print(*(line for line in lines if not line.startswith(MARK)), sep="\n", file=sys.stderr)
        return done.returncode
    told = [json.loads(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]
    jobs = [Job(**each["job"]) for each in told if "job" in each]
    jobs = [job for job in jobs if job.output]
    run: dict[str, Any] = next((each for each in told if "config" in each), {})
    with chdir(run.get("folder", ".")):
        print(*_report(jobs, load_config(run.get("config", {}))), sep="\n")
    for line in lines:
        if "missing provenance" in line or line.startswith("Rules with missing metadata"):
            print(f"Snakemake adds: {line}")
    return 0


def _report(jobs: Sequence[Job], config: "Config") -> Iterator[str]:
    if not jobs:
        yield "Nothing to do: all that was asked for is there and up to date."
        return
    makers = {path: job.rule for job in jobs for path in job.output}
    count = f"{len(jobs)} jobs" if len(jobs) > 1 else "1 job"
    yield f"{count} would run. Times and tokens are estimates from earlier runs."
    order = {rule: place for place, rule in enumerate(RULES)}
    for rule in sorted({job.rule: None for job in jobs}, key=lambda name: order.get(name, 99)):
        own = [job for job in jobs if job.rule == rule]
        yield f"\n{rule}: {len(own)} job{'s' * (len(own) > 1)} ({_shortened(own)})"
        whys: dict[tuple[str, ...], list[Job]] = {}
        for job in own:
            whys.setdefault(tuple(reasons_in_words(job, makers)), []).append(job)
        for words, alike in whys.items():
            of = f" ({_shortened(alike)})" if len(whys) > 1 else ""
            yield from (f"  why   {each}{of}" for each in words)
        if rule in WANTED or rule == "train_dpo":
            yield from _cost(rule, own, makers, config)
    if any(job.rule == "shard_prompts" for job in jobs) and "generate_dialogues" not in {
        job.rule for job in jobs
    }:
        yield f"\n{BEHIND_PROMPTS}"


def _shortened(jobs: Sequence[Job]) -> str:
    names = ["/".join(job.wildcards.values()) for job in jobs]
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join([*sorted(names)[:SHOWN], *more]) or "once for all"


def reasons_in_words(job: Job, makers: Mapping[str, str]) -> list[str]:
    """Why a job runs. What Snakemake says and is not known here stays in its own words.

    `makers` has the rules of the files that other jobs of the plan make.
    """
    words: list[str] = []
    for reason in REASON.split(job.reason):
        start, _, rest = reason.partition(": ")
        files = [path for path in rest.split(", ") if path]
        if start == "Missing output files":
            words.append("not made yet")
        elif start == "Incomplete output files":
            words.append("stopped before it was done, the last time")
        elif start == "Updated input files":
            words += [_changed_file(job.rule, path) for path in files]
        elif start == "Input files updated by another job":
            words += [_before(path, makers) for path in files]
        elif start == "Params have changed since last execution":
            words += _changed_params(rest) or [reason]
        elif start == "Set of input files has changed since last execution":
            words.append("it reads other files than the last time")
        elif start == "Forced execution":
            words.append("asked for by force")
        else:
            words.append(reason)
    words = list(dict.fromkeys(words))
    before = [each for each in words if each.startswith(BEFORE)]
    others = [each for each in words if each not in before]
    if others == ["not made yet"] or not before:
        return others
    return [*others, BEFORE + ", ".join(sorted(each.removeprefix(BEFORE) for each in before))]


BEFORE = "something before it runs: "


def _before(path: str, makers: Mapping[str, str]) -> str:
    if Path(path).parent.parent == Path("results/models") and Path(path).exists():
        return f"a model changed: {Path(path).parent.name}"
    return BEFORE + makers.get(path, path)


def _changed_file(rule: str, path: str) -> str:
    if path.endswith(".jinja"):
        return f"judge template changed: {Path(path).name}"
    if rule == "ingest_prompts":
        return f"prompts changed: {path}"
    if Path(path).parent.parent == Path("results/models"):
        return f"a model changed: {Path(path).parent.name}"
    if rule == "stage_model":
        return f"files of the model changed: {path}"
    return f"a file that it reads changed: {path}"


def _changed_params(text: str) -> list[str]:
    """Snakemake's `before: 'a','b' now: 'c'`, sets of our canonical JSON texts and digests."""
    told = text.partition("before: ")[2].replace("<nothing exclusive>", "")
    for split in re.finditer(" now: ", told):
        try:
            old = ast.literal_eval(f"[{told[: split.start()]}]")
            new = ast.literal_eval(f"[{told[split.end() :]}]")
            olds, news = ([json.loads(e) for e in es if e[:1] == "{"] for es in (old, new))
        except (SyntaxError, ValueError, TypeError):
            continue
        found = {line: None for a in olds for b in news for line in _differences(a, b)}
        words = [f"settings changed: {line}" for line in found]
        if len(new) > len(news):
            words.append("code of this stage changed")
        return words
    return []


def _differences(old: object, new: object, place: str = "") -> list[str]:
    """Each setting that differs: `judge.sampling.max_new_tokens 16 -> 17`."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{place} {_short(old)} -> {_short(new)}"]
    found = []
    for key in sorted({*old, *new}):
        inner = f"{place}.{key}" if place else key
        if key not in old:
            found.append(f"{inner} added" + ("" if new[key] == {} else f": {_short(new[key])}"))
        elif key not in new:
            found.append(f"{inner} removed")
        else:
            found += _differences(old[key], new[key], inner)
    return found


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _cost(
    rule: str, jobs: Sequence[Job], makers: Mapping[str, str], config: "Config"
) -> Iterator[str]:
    """Rows wanted and known, and the estimate for those to compute, as far as can be known now."""
    ready = [
        job for job in jobs if all(path not in makers and Path(path).exists() for path in job.input)
    ]
    wanted = missing = 0
    for job in ready:
        try:
            of_job = _wanted(job, config)
        except UserError as error:
            yield f"  rows  unknown: {error}"
            return
        wanted, missing = wanted + of_job[0], missing + of_job[1]
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
    what = "pair" if rule == "train_dpo" else "row"
    yield f"  cost  earlier: {seconds / rows:.2g} s{each} a {what}, in {seconds:.0f} s of {rows} {what}s"
    if ready:
        total = f", {tokens / in_table * missing:,.0f} tokens" if tokens else ""
        yield f"  cost  estimate: {seconds / rows * missing:,.0f} s of job time{total}"


def _earlier(rule: str, job: Job) -> tuple[float, int, int, int]:
    """Of the last runs: seconds and the rows computed in them; tokens and rows of the tables."""
    suffix = "".join(Path(job.output[0]).parts[1:2])
    seconds, rows, tokens, in_tables = 0.0, 0, 0, 0
    for benchmark in sorted(Path("benchmarks", rule).rglob("*.tsv")):
        place = benchmark.relative_to(Path("benchmarks", rule))
        folder = "pairs" if rule == "train_dpo" else suffix
        table = Path("results", folder, place.with_suffix(".parquet"))
        if not table.exists():
            continue
        log = Path("logs", rule, place.with_suffix(".log"))
        told = COMPUTED.findall(log.read_text(encoding="utf-8")) if log.exists() else []
        computed = int(told[-1]) if told else _rows_of(str(table))
        with benchmark.open(encoding="utf-8") as file:
            spent = [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
        # A run that found all its rows in the store says nothing of what a row costs.
        if computed and spent:
            seconds, rows = seconds + spent[-1], rows + computed
        if column := TOKENS.get(rule):
            import pyarrow.parquet as pq

            values = pq.read_table(table, columns=[column]).column(column).to_pylist()
            tokens, in_tables = tokens + sum(values), in_tables + len(values)
    return seconds, rows, tokens, in_tables


def _rows_of(table: str) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(table).num_rows)


class _NotKnown(Exception):
    """A row is not in the store."""


class _NoModel:
    """In the place of the model behind a store: it has no answer, so none is kept."""

    def generate(
        self, requests: "Sequence[Request]", sampling: "Sampling"
    ) -> "Iterator[Completion]":
        from wim.engines.base import Completion

        yield from (Completion(request.key, "", "context", 0, 0) for request in requests)

    def choice_logprobs(
        self, requests: "Sequence[Request]", choices: Sequence[str]
    ) -> "Iterator[ChoiceLogprobs]":
        from wim.engines.base import ChoiceLogprobs

        yield from (ChoiceLogprobs(request.key, None, 0) for request in requests)


def _dialogues(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.dialogues import generate_candidates
    from wim.engines.stored import local_engine
    from wim.models import read_manifest
    from wim.tables import PROMPTS, Prompt, read_table

    prompts, manifest = map(Path, job.input)
    rows = [Prompt(**row) for row in read_table(prompts, PROMPTS).to_pylist()]
    digest, dtype = read_manifest(manifest).digest, config.models[config.dialogues.actor].dtype
    wanted, known = len(rows) * config.dialogues.candidates, 0
    with local_engine(manifest, dtype, 1, store) as engine:
        engine._model = _NoModel()
        try:
            for _ in generate_candidates(rows, engine, config.dialogues, config.seed, digest):
                known += 1
        except UserError:
            # What is known comes first; the first row without an answer ends it.
            pass
    return wanted, wanted - known


def _ratings(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.engines.stored import local_engine
    from wim.judging.rating import StructuredJudge
    from wim.judging.templates import read_templates
    from wim.models import read_manifest
    from wim.tables import DIALOGUES, Candidate, read_table

    dialogues, manifest, *templates = map(Path, job.input)
    name = job.wildcards["judge"]
    settings, digest = config.judges[name], read_manifest(manifest).digest
    candidates = [Candidate(**row) for row in read_table(dialogues, DIALOGUES).to_pylist()]
    texts, dtype = read_templates(templates), config.models[settings.model].dtype
    with local_engine(manifest, dtype, 1, store) as engine:
        engine._model = _NoModel()
        StructuredJudge(name, engine, texts, settings, config.seed, digest).rate(candidates)
    return len(candidates), len(engine.computed)


def _texts(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.embeddings import StoredEncoder, vector_schema
    from wim.models import read_manifest
    from wim.rowstore import RowStore
    from wim.tables import DIALOGUES, RATINGS, read_table

    def no_encoder() -> NoReturn:
        raise _NotKnown

    dialogues, ratings, manifest = map(Path, job.input)
    judged = read_table(ratings, RATINGS, ["status", "wim"]).to_pylist()
    texts = set(read_table(dialogues, DIALOGUES, ["completion"]).column(0).to_pylist())
    texts |= {row["wim"] for row in judged if row["status"] == "ok"}
    with RowStore(store, vector_schema()) as vectors:
        encoder = StoredEncoder(no_encoder, vectors, read_manifest(manifest).digest)
        with suppress(_NotKnown):
            encoder.encode(sorted(texts))
    return len(texts), encoder.computed


# Rows that a job of a rule wants, and those of them that its folder in the store does not have.
WANTED: Mapping[str, Callable[[Job, "Config", Path], tuple[int, int]]] = {
    "generate_dialogues": _dialogues,
    "rate_candidates": _ratings,
    "embed_critiques": _texts,
}


def _wanted(job: Job, config: "Config") -> tuple[int, int]:
    """Rows that a job wants and rows that it will compute; asks the store, opens no model."""
    if job.rule not in WANTED:
        return (_rows_of(job.input[0]),) * 2
    store = Path(config.store, job.rule)
    with TemporaryDirectory() as empty:
        return WANTED[job.rule](job, config, store if store.is_dir() else Path(empty, job.rule))


def _announce_jobs(arguments: list[str]) -> None:
    """Run snakemake, and print its configuration and jobs as JSON on marked lines."""
    from snakemake import cli  # type: ignore[import-untyped]
    from snakemake.common.configfile import load_configfile  # type: ignore[import-untyped]
    from snakemake.logging import logger  # type: ignore[import-untyped]
    from snakemake.utils import update_config  # type: ignore[import-untyped]

    def tell(record: Any) -> bool:
        event = getattr(getattr(record, "event", None), "value", None)
        told: dict[str, object] = {}
        if event == "workflow_started":
            config: dict[str, object] = {}
            for path in record.configfiles:
                update_config(config, load_configfile(path))
            update_config(config, cli.parse_config(cli.parse_args(arguments)[1].config))
            told = {"config": config, "folder": str(Path.cwd())}
        elif event == "job_info":
            names = ("wildcards", "reason", "input", "output", "benchmark")
            told = {
                "job": {"rule": record.rule_name} | {name: getattr(record, name) for name in names}
            }
        if told:
            print(MARK + json.dumps(told, default=str), flush=True)
        return True

    logger.addFilter(tell)
    cli.main(arguments)


if __name__ == "__main__":
    _announce_jobs(sys.argv[1:])
