"""Two thousand shards: planned in seconds, and their prompts shared out."""

import json
import resource
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from support.workflow_runs import REPOSITORY, SNAKEMAKE, job_counts

pytestmark = pytest.mark.slow
SHARDS = 2000
# On two cores without other work it is a third of this.
MOST_SECONDS = 90


def run(directory: Path, *arguments: str) -> tuple[str, float]:
    """Run snakemake as its user does: its output, and the seconds that it computed."""
    command = [str(SNAKEMAKE), "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(directory), "--configfile", str(directory / "mine.yaml")]
    command += ["--workflow-profile", str(REPOSITORY / "profiles/default"), *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return output, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_two_thousand_shards_are_planned_in_seconds_before_and_after_they_exist(
    tmp_path: Path,
) -> None:
    prompts = [{"prompt": f"Say something about the number {number}."} for number in range(5000)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
    config = {"prompts": {"files": ["p.jsonl"], "shards": SHARDS}}
    (tmp_path / "mine.yaml").write_text(json.dumps(config))
    output, first = run(tmp_path, "-n")
    assert job_counts(output)["generate_dialogues"] == SHARDS
    run(tmp_path, "--cores", "2", "--", "shard_prompts")
    tables = sorted((tmp_path / "results/prompts/shards").iterdir())
    assert [path.name for path in tables] == [f"{number:04d}.parquet" for number in range(SHARDS)]
    assert sum(len(pd.read_parquet(path, columns=["prompt_id"])) for path in tables) == len(prompts)
    output, second = run(tmp_path, "-n")
    assert job_counts(output)["embed_critiques"] == SHARDS
    assert max(first, second) < MOST_SECONDS, (first, second)
