"""The tokens that servers count are written down once each, and summed up by stage and model."""

import json
from pathlib import Path

import pytest

from wim.engines.transport.usage import Spending, Spent, UsageRecord, spending, spent_on
from wim.settings.prices import Price


def response(**usage: object) -> bytes:
    return json.dumps({"choices": [], "usage": usage}).encode()


def record(folder: Path, job: str = "rate_candidates/base/far/000", model: str = "far"):
    path = folder / f"{job}.server.usage.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return UsageRecord(path, model)


def test_the_tokens_of_a_response_are_those_of_its_usage() -> None:
    counted = response(
        prompt_tokens=100, completion_tokens=7, prompt_tokens_details={"cached_tokens": 60}
    )
    assert spent_on(counted) == Spent(requests=1, prompts=100, cached=60, answers=7)


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", response(), b'{"usage": 3}'])
def test_a_response_without_a_count_is_counted_as_such(content: bytes) -> None:
    assert spent_on(content) == Spent(requests=1, uncounted=1)


def test_what_several_runs_of_jobs_have_spent_adds_up_by_stage_and_model(tmp_path: Path) -> None:
    for _ in range(3):
        of_run = record(tmp_path)
        of_run.add(Spent(requests=1, prompts=10, answers=2))
        of_run.add(Spent(rows=1))
    record(tmp_path, "rate_candidates/base/far/001").add(Spent(requests=1, prompts=5))
    record(tmp_path, "generate_dialogues/base/000").add(Spent(requests=1, prompts=1, answers=1))
    assert spending(tmp_path) == {
        ("generate_dialogues", "far"): Spending(Spent(requests=1, prompts=1, answers=1)),
        ("rate_candidates", "far"): Spending(Spent(3, 4, 0, 35, 0, 6)),
    }
    file = tmp_path / "rate_candidates/base/far/000.server.usage.jsonl"
    assert len(file.read_text().splitlines()) == 3, "a sum of former runs, and the last run's own"


def test_a_batch_whose_results_are_read_again_counts_once(tmp_path: Path) -> None:
    batch = Spent(requests=200, prompts=2000, answers=400)
    for job in ("000", "000", "001"):
        record(tmp_path, f"rate_candidates/base/far/{job}").add(batch, "batch_1")
    record(tmp_path).add(batch, "batch_2")
    found = spending(tmp_path)["rate_candidates", "far"]
    assert found.batched == batch + batch
    assert found.single == Spent()


def test_a_line_that_a_kill_has_torn_is_left_out(tmp_path: Path) -> None:
    record(tmp_path).add(Spent(requests=1, prompts=10))
    file = tmp_path / "rate_candidates/base/far/000.server.usage.jsonl"
    with file.open("a") as opened:
        opened.write('{"model": "far", "requ')
    record(tmp_path).add(Spent(requests=1, prompts=3))
    assert spending(tmp_path)["rate_candidates", "far"].total == Spent(requests=2, prompts=13)


def test_money_is_of_cached_and_batched_tokens_by_their_own_prices() -> None:
    price = Price(input=2.0, output=8.0, cached_input=0.5)
    assert price.of(1e6, 1e6) == pytest.approx(10.0)
    assert price.of(1e6, 0, cached=4e5) == pytest.approx(0.6 * 2 + 0.4 * 0.5)
    assert price.of(1e6, 1e6, batched=True) == pytest.approx(5.0)
    assert Price(input=2.0, output=8.0).of(1e6, 0, cached=1e6) == pytest.approx(2.0)
    cheaper = Price(input=2.0, output=8.0, batch_discount=0.25)
    assert cheaper.of(1e6, 0, batched=True) == pytest.approx(1.5)
