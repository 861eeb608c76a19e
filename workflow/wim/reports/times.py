"""How long the jobs of each stage took, and on how many GPUs, by Snakemake's benchmark files."""

import ast
import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BENCHMARKS, LOGS = Path("benchmarks"), Path("logs")
# What a job in SLURM logs of its GPUs.
GIVEN = re.compile(r"SLURM job \S+, CUDA_VISIBLE_DEVICES (\S+)")


@dataclass(frozen=True)
class StageTimes:
    """The last run of each job of a stage.

    Attributes:
        jobs: How many there are.
        seconds: Of all jobs, one after another.
        gpu_seconds: The same times the GPUs that each was given.
        peak: Most memory of a job's processes, in MB.
    """

    jobs: int
    seconds: float
    gpu_seconds: float
    peak: float


def stage_times(benchmarks: Path = BENCHMARKS, logs: Path = LOGS) -> dict[str, StageTimes]:
    """The times of each stage of a working directory, by its rule."""
    found: dict[str, StageTimes] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        place = path.relative_to(benchmarks)
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        if not rows:
            continue
        last = rows[-1]
        seconds, peak = _number(last.get("s")), _number(last.get("max_rss"))
        gpus = _gpus(last, logs / place.with_suffix(".log"))
        before = found.get(place.parts[0], StageTimes(0, 0.0, 0.0, 0.0))
        found[place.parts[0]] = StageTimes(
            before.jobs + 1,
            before.seconds + seconds,
            before.gpu_seconds + gpus * seconds,
            max(before.peak, peak),
        )
    return found


def _number(text: str | None) -> float:
    """A cell of a benchmark; 0 where Snakemake had no time to measure."""
    try:
        return float(text or "")
    except ValueError:
        return 0.0


def _gpus(row: Mapping[str, str | None], log: Path) -> int:
    """The GPUs that a job requested, or that SLURM gave it."""
    try:
        resources = ast.literal_eval(row.get("resources") or "{}")
    except (SyntaxError, ValueError):
        resources = {}
    if isinstance(resources, dict) and str(resources.get("gpu", "")).isdigit():
        return int(resources["gpu"])
    given = GIVEN.findall(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else []
    return 0 if not given or given[-1] == "none" else len(given[-1].split(","))
