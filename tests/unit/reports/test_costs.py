"""What a run has cost is what its benchmarks and its servers' counts say, and nothing assumed."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from wim.engines.transport.usage import Spent, UsageRecord
from wim.reports.costs import costs
from wim.reports.times import StageTimes, stage_times
from wim.settings.prices import Price

SHORT = "s\th:m:s\tmax_rss\n"
LONG = "s\th:m:s\tmax_rss\tresources\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    gpus = "{'tmpdir': '/tmp', 'gpu': 4, '_cores': 1}"
    write(
        tmp_path / "benchmarks/train_dpo/wim/round1.tsv", f"{LONG}1800.0\t0:30:00\t900.5\t{gpus}\n"
    )
    for shard, seconds in (("000", 60), ("001", 30)):
        place = f"rate_candidates/base/far/{shard}"
        write(tmp_path / f"benchmarks/{place}.tsv", f"{SHORT}{seconds}\t0:01:00\t-\n")
    return tmp_path


def test_a_stages_times_are_of_all_its_jobs_and_of_the_gpus_they_requested(run: Path) -> None:
    write(
        run / "logs/rate_candidates/base/far/000.log",
        "2026-01-01 00:00:00,000 DEBUG wim: SLURM job 7, CUDA_VISIBLE_DEVICES 0,1\n",
    )
    write(
        run / "logs/rate_candidates/base/far/001.log",
        "2026-01-01 00:00:00,000 DEBUG wim: SLURM job 8, CUDA_VISIBLE_DEVICES none\n",
    )
    assert stage_times() == {
        "rate_candidates": StageTimes(2, 90.0, 120.0, 0.0),
        "train_dpo": StageTimes(1, 1800.0, 7200.0, 900.5),
    }


def test_hours_tokens_and_money_are_in_the_text_the_table_and_the_figure(run: Path) -> None:
    path = run / "logs/rate_candidates/base/far/000.server.usage.jsonl"
    path.parent.mkdir(parents=True)
    record = UsageRecord(path, "far")
    record.add(Spent(requests=10, prompts=1_000_000, answers=200_000))
    record.add(Spent(requests=20, prompts=2_000_000, answers=400_000, uncounted=2), "batch_1")
    record.add(Spent(rows=30))
    UsageRecord(path.with_name("001.server.usage.jsonl"), "free").add(Spent(requests=1, prompts=5))
    output = SimpleNamespace(table="out/c.json", text="out/c.md", figure="out/c.svg")
    costs({"far": Price(input=1.0, output=10.0)}, output)
    figures = json.loads(Path("out/c.json").read_text())
    # 1 + 2 for the single requests, half of 2 + 4 for the batch.
    assert figures["usage"]["rate_candidates"]["far"]["money"] == pytest.approx(6.0)
    assert figures["usage"]["rate_candidates"]["free"]["money"] is None
    assert figures["money"] == pytest.approx(6.0)
    assert figures["stages"]["train_dpo"]["gpu_seconds"] == 7200
    text = Path("out/c.md").read_text()
    assert "| `train_dpo` | 1 | 0.500 | 2.000 | 900 |" in text
    assert "| `rate_candidates` | `far` | 30 | 30 | 3,000,000 | 0 | 600,000 | 20 | 6.0000 |" in text
    assert "2 responses came without a count of tokens" in text
    assert "Without a price under `prices`: free." in text
    assert Path("out/c.svg").read_text().startswith("<?xml")


def test_a_run_of_which_nothing_was_measured_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = SimpleNamespace(table="out/c.json", text="out/c.md", figure="out/c.svg")
    costs({}, output)
    assert "No model behind a server was queried." in Path("out/c.md").read_text()
    assert json.loads(Path("out/c.json").read_text()) == {"money": None, "stages": {}, "usage": {}}
