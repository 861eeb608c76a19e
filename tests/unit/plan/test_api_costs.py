"""What `wim plan` says of tokens that models behind an API will take."""

import json
from pathlib import Path

import pytest

from wim.plan.api_costs import CHAT, CHOICE, TEMPLATE, Estimate, estimates
from wim.plan.reasons import Job
from wim.settings.load import load_config

ANSWER, CRITIQUE = 20, 200
PROMPT = "Why is the sky blue?"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [json.dumps({"prompt": f"{PROMPT}{number}"}) for number in range(4)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(rows))


def estimated(rule: str, judge: dict[str, object], missing: int | None) -> list[Estimate]:
    config = load_config(
        {
            "prompts": {"files": ["prompts.jsonl"], "shards": 1},
            "dialogues": {"candidates": 2, "sampling": {"max_new_tokens": ANSWER}},
            "models": {"far": {"source": "endpoint:far@1", "api": {"url": "http://far"}}},
            "judges": {
                "far": {
                    "model": "far",
                    "sampling": {"max_new_tokens": CRITIQUE, "temperature": 1.0},
                    **judge,
                },
            },
            "rewards": {"number": {"judge": "far", "zeta": 0.0}},
            "arms": {},
        }
    )
    wildcards = {"policy": "base", "judge": "far", "shard": "000"}
    job = Job(rule, wildcards, "", ["dialogues.parquet"], ["ratings.parquet"], None)
    return list(estimates(rule, [(job, missing)], config))


def test_each_aspect_costs_a_number_more_with_the_whole_text_in_view() -> None:
    (whole,) = estimated("rate_candidates", {}, 3)
    (parts,) = estimated("rate_aspects", {"aspects": ["helpfulness", "honesty", "truthfulness"]}, 3)
    assert (whole.rows, parts.rows) == (3, 3)
    read = len(PROMPT + "0") / 4 + CHAT + TEMPLATE + ANSWER
    assert whole.each.prompts == 2 * read + CRITIQUE
    assert parts.each.prompts == read + 3 * (read + CRITIQUE)
    assert whole.each.answers == CRITIQUE + CHOICE
    assert parts.each.answers == CRITIQUE + 3 * CHOICE


def test_judgements_that_are_not_known_yet_count_by_prompts_candidates_and_samples() -> None:
    aspects = ["helpfulness", "honesty"]
    (found,) = estimated("rate_aspects", {"aspects": aspects, "samples": 3}, None)
    assert found.rows == 4 * 2 * 3
