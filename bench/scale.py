"""Rewards, pairs, page and summary at 10^4, 10^5 and 10^6 candidates, and the plan of many shards.

    python bench/scale.py [--rows 10000 100000 1000000] [--shards 16] [--select best_worst]
        [--dimension 384] [--planned 256 1000]

Writes synthetic prompts, dialogues, ratings and embeddings as their stages would (4 candidates a
prompt, contexts of about 60 words, completions of about 80, unit vectors of 384 numbers, every
status), then lets Snakemake make pairs, page and summary from them with its own rules. Prints the
seconds and the peak memory of each job's process, and how both grow from one size to the next; at
last the seconds of a first dry run of the embedded default with so many shards. Needs Linux, and 5 GB
of disk under $TMPDIR for 10^6 candidates; fewer --dimension take less, and change no other input.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from wim.paths import shard_names
from wim.prompts.splits import shard_of
from wim.provenance.digest import digest_of, row_id
from wim.tables.files import write_table
from wim.tables.schemas import DIALOGUES, PROMPTS, RATINGS, Table, embeddings_table

REPOSITORY = Path(__file__).parents[1]
# What is made, and by which rules. Without arms the summary needs no training.
MADE = (
    ("results/report/page.html", ("score_candidates", "pair_candidates", "page"), ["wim"]),
    ("results/report/summary.json", ("audit_critiques", "find_split_leaks", "summary"), []),
)
CANDIDATES, TOKENS = 4, 107
STATUSES = {
    "ok": 0.80,
    "nothing_missing": 0.08,
    "echo": 0.03,
    "truncated": 0.03,
    "unparsable": 0.03,
    "refused": 0.02,
    "error": 0.01,
}
Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]


@dataclass
class Cost:
    """What a job's process took: seconds of wall time, and bytes at its peak."""

    seconds: float = 0.0
    memory: int = 0


class Texts:
    """English-looking texts: pieces of one long text of made-up words."""

    def __init__(self, rng: np.random.Generator) -> None:
        letters = np.array(list("etaoinshrdlu"))
        words = ["".join(rng.choice(letters, size)) for size in rng.integers(2, 9, 4000)]
        self.text = " ".join(rng.choice(np.array(words), 500_000).tolist())
        self.rng = rng

    def sample(self, number: int, words: int) -> list[str]:
        """Texts of 0.5 to 1.5 times `words` words (6 characters each)."""
        lengths = self.rng.integers(3 * words, 9 * words, number)
        starts = self.rng.integers(0, len(self.text) - 9 * words, number)
        return [
            self.text[start : start + length]
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
        ]


def write_columns(
    path: str | Path, table: Table, columns: Mapping[str, Sequence[object] | pa.Array]
) -> None:
    """Write a table from its columns; those that are left out are empty."""
    count = max(map(len, columns.values()))
    whole = {name: columns.get(name, pa.nulls(count)) for name in table.schema.names}
    write_table(path, table, pa.Table.from_pydict(whole, schema=table.schema))


def write_inputs(results: Path, rows: int, shards: int, dimension: int) -> None:
    """Write everything that the rewards and pairs of `rows` candidates are made from.

    In the order of the stages, so that Snakemake, which compares modification times, reruns none.
    """
    rng = np.random.default_rng(rows)
    texts = Texts(rng)
    contexts = [
        [{"role": "user", "content": text}] for text in texts.sample(rows // CANDIDATES, 60)
    ]
    prompts = {row_id(messages): messages for messages in contexts}
    homes: list[list[str]] = [[] for _ in range(shards)]
    for prompt_id in prompts:
        homes[shard_of(prompt_id, shards)].append(prompt_id)
    write_prompts(results / "prompts/prompts.parquet", prompts, list(prompts))
    names = [f"{name}.parquet" for name in shard_names(shards)]
    for name, ids in zip(names, homes, strict=True):
        write_prompts(results / "prompts/shards" / name, prompts, ids)
    for model in ("smollm2", "minilm"):
        manifest = results / "models" / model / "manifest.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text("{}\n", encoding="utf-8")
    candidates = []
    for name, ids in zip(names, homes, strict=True):
        candidates.append(
            generate_dialogues(results / "dialogues/base" / name, prompts, ids, texts)
        )
    statuses = []
    for name, ids in zip(names, candidates, strict=True):
        statuses.append(rate_candidates(results / "ratings/base/smollm2" / name, ids, texts))
    for name, ids, status in zip(names, candidates, statuses, strict=True):
        place = results / "embeddings/base/smollm2" / name
        embed_critiques(place, ids, status, rng, dimension)


def write_prompts(
    path: Path, prompts: Mapping[str, list[dict[str, str]]], ids: Sequence[str]
) -> None:
    """A table of prompts, of which a twentieth is held out."""
    columns = {
        "prompt_id": ids,
        "messages": [prompts[prompt_id] for prompt_id in ids],
        "split": ["eval" if int(prompt_id[-4:], 16) % 20 == 0 else "train" for prompt_id in ids],
        "source": ["scale.jsonl"] * len(ids),
        "reference": [None] * len(ids),
        "metadata": [None] * len(ids),
    }
    write_columns(path, PROMPTS, columns)


def generate_dialogues(
    path: Path, prompts: Mapping[str, list[dict[str, str]]], ids: Sequence[str], texts: Texts
) -> list[str]:
    """A shard of dialogues; its candidates' ids."""
    prompt_ids = [prompt_id for prompt_id in ids for _ in range(CANDIDATES)]
    number = len(prompt_ids)
    samples = list(range(CANDIDATES)) * len(ids)
    keys = [row_id([*place]) for place in zip(prompt_ids, samples, strict=True)]
    columns = {
        "candidate_id": keys,
        "prompt_id": prompt_ids,
        "dialogue_id": prompt_ids,
        "turn": [1] * number,
        "speaker": ["actor"] * number,
        "sample": samples,
        "context": [prompts[prompt_id] for prompt_id in prompt_ids],
        "completion": texts.sample(number, 80),
        "judged": [True] * number,
        "continued": [False] * number,
        "finish_reason": ["stop"] * number,
        "prompt_tokens": [80] * number,
        "completion_tokens": [TOKENS] * number,
        "tokens": pa.ListArray.from_arrays(
            np.arange(number + 1) * TOKENS,
            texts.rng.integers(0, 49_152, number * TOKENS, dtype=np.int32),
        ),
        "seed": texts.rng.integers(0, 2**60, number),
        "model_digest": [digest_of("model")] * number,
    }
    write_columns(path, DIALOGUES, columns)
    return keys


def rate_candidates(path: Path, ids: Sequence[str], texts: Texts) -> list[str]:
    """A shard of ratings; the candidates' statuses."""
    rng, number = texts.rng, len(ids)
    statuses: list[str] = rng.choice(list(STATUSES), number, p=list(STATUSES.values())).tolist()
    usable = [status in ("ok", "nothing_missing") for status in statuses]
    critiques = texts.sample(number, 30)
    ratings = rng.integers(1, 11, number).tolist()
    means = rng.uniform(1, 10, number).tolist()

    def where_usable(values: Sequence[object]) -> list[object]:
        return [value if use else None for value, use in zip(values, usable, strict=True)]

    columns = {
        "candidate_id": ids,
        "judge": ["smollm2"] * number,
        "status": statuses,
        "rating": where_usable(ratings),
        "rating_expected": where_usable(means),
        "rating_source": where_usable(["logprobs"] * number),
        "wim": where_usable(critiques),
        "nothing_missing_logprob": rng.uniform(-30, 0, number),
        "raw": critiques,
        "attempts": [1] * number,
        "tokens": [160] * number,
        "judge_digest": [digest_of("judge")] * number,
    }
    write_columns(path, RATINGS, columns)
    return statuses


def embed_critiques(
    path: Path,
    ids: Sequence[str],
    statuses: Sequence[str],
    rng: np.random.Generator,
    dimension: int,
) -> None:
    """A shard of embeddings; a critique has a vector if its status is ok."""
    number = len(ids)
    missing = np.array([status != "ok" for status in statuses], dtype=bool)

    def vectors(mask: np.ndarray[tuple[int], np.dtype[np.bool_]] | None) -> pa.Array:
        values: Matrix = rng.standard_normal((number, dimension), dtype=np.float32)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        mask = None if mask is None else pa.array(mask)
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dimension, mask=mask)

    columns = {
        "candidate_id": ids,
        "judge": ["smollm2"] * number,
        "response_embedding": vectors(None),
        "wim_embedding": vectors(missing),
        "response_truncated": [False] * number,
        "wim_truncated": [False] * number,
        "response_unknown": [0.0] * number,
        "wim_unknown": pa.array(np.zeros(number), mask=missing),
        "encoder_digest": [digest_of("encoder")] * number,
    }
    write_columns(path, embeddings_table(dimension), columns)


def snakemake(folder: Path, config: Mapping[str, object], *arguments: str) -> list[str]:
    """The command line that runs the workflow in a folder of its own (JSON is YAML)."""
    file = folder / "scale.yaml"
    file.write_text(json.dumps(config), encoding="utf-8")
    return [
        str(Path(sys.executable).with_name("snakemake")),
        "--directory",
        str(folder),
        "--snakefile",
        str(REPOSITORY / "Snakefile"),
        "--configfile",
        str(file),
        "--workflow-profile",
        str(REPOSITORY / "profiles/default"),
        "--cores",
        "1",
        *arguments,
    ]


def jobs_below(process: psutil.Process, rules: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The rule and the peak memory so far (bytes) of each job's processes."""
    for child in process.children(recursive=True):
        try:
            command = " ".join(child.cmdline())
            status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
        except (psutil.Error, OSError):
            continue
        peak = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        for rule in rules:
            if f".{rule}.py" in command and peak:
                yield rule, 1024 * int(peak[0])


def measured(command: Sequence[str], log: Path, rules: Sequence[str]) -> dict[str, Cost]:
    """Run a workflow and watch the jobs of some rules; the cost of each."""
    begun: dict[str, float] = {}
    costs: dict[str, Cost] = {}
    with log.open("w", encoding="utf-8") as output:
        running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while running.poll() is None:
            for rule, peak in jobs_below(psutil.Process(running.pid), rules):
                now = time.perf_counter()
                cost = costs.setdefault(rule, Cost())
                cost.seconds = now - begun.setdefault(rule, now)
                cost.memory = max(cost.memory, peak)
            time.sleep(0.02)
    text = log.read_text(encoding="utf-8")
    if running.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{text}")
    if set(costs) != set(rules):
        sys.exit(f"found the jobs {sorted(costs)}; expected {', '.join(rules)}:\n{text}")
    return {rule: costs[rule] for rule in rules}


def measure_rows(rows: int, shards: int, select: str, dimension: int) -> dict[str, Cost]:
    """The costs of all that is made of `rows` candidates."""
    costs: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory(prefix="wim-scale-") as name:
        folder = Path(name)
        write_inputs(folder / "results", rows, shards, dimension)
        for target, rules, arms in MADE:
            config = {
                "prompts": {"shards": shards},
                "pairs": {"select": select},
                "rewards": {"wim": {"judge": "smollm2", "zeta": 0.5}},
                "arms": {arm: {"reward": "wim"} for arm in arms},
            }
            command = snakemake(folder, config, target)
            costs |= measured(command, folder / "snakemake.log", rules)
    return costs


def plan_seconds(shards: int) -> float:
    """Seconds of a first dry run of the embedded default."""
    with tempfile.TemporaryDirectory(prefix="wim-scale-") as name:
        command = snakemake(Path(name), {"prompts": {"shards": shards}}, "--dry-run", "--quiet")
        start = time.perf_counter()
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(f"the dry run failed:\n{result.stdout}{result.stderr}")
        return time.perf_counter() - start


def main() -> None:
    """Measure each size in turn, then the plan."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[10**4, 10**5, 10**6])
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--select", choices=["best_worst", "all"], default="best_worst")
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--planned", type=int, nargs="*", default=[256])
    options = parser.parse_args()
    before: tuple[int, dict[str, Cost]] | None = None
    for rows in options.rows:
        costs = measure_rows(rows, options.shards, options.select, options.dimension)
        for part, cost in costs.items():
            line = f"{rows:>9,} rows  {part:<16} {cost.seconds:7.1f} s"
            if cost.memory:
                line += f" {cost.memory / 1e6:7,.0f} MB"
            if before:
                earlier = before[1][part]
                line += f"   x{rows / before[0]:g} rows: x{cost.seconds / earlier.seconds:.1f} time"
                line += f", x{cost.memory / earlier.memory:.1f} memory" if cost.memory else ""
            print(line, flush=True)
        before = rows, costs
    for shards in options.planned:
        print(f"first dry run of {shards:,} shards: {plan_seconds(shards):.1f} s", flush=True)


if __name__ == "__main__":
    main()
