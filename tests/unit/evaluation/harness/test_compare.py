"""Comparing models in tasks: over the same questions, with verdicts for what was asked for."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wim.evaluation.cards import evaluated_card
from wim.evaluation.compared.paired import difference
from wim.evaluation.harness.compare import evaluate_harness, task_figures
from wim.evaluation.harness.results import read_results, results_files
from wim.evaluation.verdict import verdict
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import HARNESS_SCORES, HarnessScore

Rows = Mapping[tuple[str, str], Mapping[str, float]]


def task(value: float, main: str = "acc,none", subtasks: tuple[str, ...] = ()) -> dict[str, Any]:
    score = {"value": value, "standard_error": 0.1, "higher_is_better": True}
    return {
        **{"version": "1.0", "examples": None if subtasks else 0, "subtasks": subtasks},
        **{"questions": 10, "all_questions": 10, "main": main, "scores": {main: score}},
    }


def row(scores: list[float]) -> dict[str, float]:
    return {str(place): score for place, score in enumerate(scores)}


HALF, MORE = [1.0, 0.0] * 20, [1.0, 1.0, 1.0, 0.0] * 10


def compared(base: dict[str, Any], wim: dict[str, Any], of: Rows, other: Rows) -> dict[str, Any]:
    asked = {"one": None, "group": None}
    return task_figures({"base": base, "wim": wim}, {"base": of, "wim": other}, asked, seed=0)


def test_the_difference_is_paired_over_questions() -> None:
    figures = compared(
        {"one": task(0.5)},
        {"one": task(0.75)},
        {("one", "acc,none"): row(HALF)},
        {("one", "acc,none"): row(MORE)},
    )
    found = figures["one"]["speakers"]["wim"]
    assert found["difference"] == asdict(difference(row_of("one", MORE), row_of("one", HALF), 0))
    assert found["difference"]["higher"] == 10 and found["difference"]["lower"] == 0
    assert found["verdict"]["verdict"] == "better"
    assert "wim in one is better than base: +25.0 points" in found["verdict"]["words"]
    assert "on 40 questions" in found["verdict"]["words"]
    assert "difference" not in figures["one"]["speakers"]["base"]


def row_of(name: str, scores: list[float]) -> dict[str, float]:
    return {f"{name} {place}": score for place, score in row(scores).items()}


def test_a_group_is_compared_over_the_questions_of_its_tasks_and_these_have_no_verdict() -> None:
    group = task(0.5, subtasks=("a", "b")), task(0.75, subtasks=("a", "b"))
    halves = {("a", "acc,none"): row(HALF), ("b", "acc,none"): row(HALF)}
    mores = {("a", "acc,none"): row(MORE), ("b", "acc,none"): row(MORE)}
    figures = compared(
        {"group": group[0], "a": task(0.5), "b": task(0.5)},
        {"group": group[1], "a": task(0.75), "b": task(0.75)},
        halves,
        mores,
    )
    assert figures["group"]["speakers"]["wim"]["difference"]["common"] == 80
    assert "verdict" in figures["group"]["speakers"]["wim"]
    assert "verdict" not in figures["a"]["speakers"]["wim"]
    assert "difference" in figures["a"]["speakers"]["wim"]


@pytest.mark.parametrize(
    "base",
    [
        # A group's score that weighs its tasks alike is no mean over questions.
        task(0.6),
        {**task(0.5), "main": None, "scores": {}},
        {
            **task(0.5),
            "scores": {"acc,none": {**task(0.5)["scores"]["acc,none"], "higher_is_better": False}},
        },
    ],
)
def test_a_score_that_is_no_mean_over_questions_has_no_difference(base: dict[str, Any]) -> None:
    scores = {("one", "acc,none"): row(HALF)}
    figures = compared({"one": base}, {"one": task(0.5)}, scores, scores)
    assert set(figures["one"]["speakers"]["wim"]) == {"scores"}


def test_p_values_are_adjusted_for_all_tasks_and_models_together() -> None:
    names = ("one", "group")
    results = {
        speaker: {name: task(value) for name in names}
        for speaker, value in (("base", 0.5), ("wim", 0.75), ("rival", 0.5))
    }
    scores = {
        speaker: {(name, "acc,none"): row(MORE if speaker == "wim" else HALF) for name in names}
        for speaker in results
    }
    figures = task_figures(results, scores, dict.fromkeys(names), seed=0)
    found = figures["one"]["speakers"]["wim"]["verdict"]
    assert found["p_holm"] == pytest.approx(4 * found["p"])
    assert "after Holm over 4 comparisons" in found["words"]


def test_a_page_a_figure_and_a_verdict_come_of_what_lm_eval_wrote(tmp_path: Path) -> None:
    whole = read_results(results_files(Path(__file__).with_name("written"))[0])
    listing = {"requested": {"quiz": ["quiz"], "c.yaml": ["colours"], "copies": ["copies"]}}
    (tmp_path / "tasks.json").write_text(json.dumps(listing))
    for name in ("base", "wim"):
        content = {"model": name * 8, "dtype": "float32", **asdict(whole)}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        rows = [
            HarnessScore("colours", "acc_norm,none", place, float(place in right))
            for place, right in ((place, (1, 5)) for place in range(8))
        ]
        write_table(tmp_path / f"{name}.parquet", HARNESS_SCORES, as_arrow(HARNESS_SCORES, rows))
    written = {}
    for time in ("first", "second"):
        output = {
            key: str(tmp_path / f"{time}.{suffix}")
            for key, suffix in (("table", "json"), ("text", "md"), ("figure", "svg"))
        }
        evaluate_harness(
            tasks=tmp_path / "tasks.json",
            results=[tmp_path / "base.json", tmp_path / "wim.json"],
            scores=[tmp_path / "base.parquet", tmp_path / "wim.parquet"],
            name="bench",
            settings={"num_fewshot": None, "limit": 8},
            speakers=["base", "wim"],
            seed=0,
            output=SimpleNamespace(**output),
        )
        written[time] = [Path(path).read_bytes() for path in output.values()]
    assert written["first"] == written["second"]
    text = (tmp_path / "first.md").read_text()
    assert "The first 8 questions of each task alone" in text
    assert "| `colours` | `acc_norm,none` | 1.0 | 0 | 8 of 12 | 0.25 ± 0.16 | 0.25 ± 0.16 |" in text
    assert "Without a paired difference: `copies`, `quiz`" in text
    assert text.index("`quiz::quiz_likely`") > text.index("## Tasks within groups")
    verdict([tmp_path / "first.json"], ["wim"], tmp_path / "verdict.json")
    said = json.loads((tmp_path / "verdict.json").read_text())
    assert said["bench colours"]["wim"]["verdict"] == "not shown"
    assert said["bench colours"]["wim"]["arm"] == "wim"
    (tmp_path / "card.md").write_text("# wim\n")
    evaluated_card(tmp_path / "card.md", [tmp_path / "first.json"], "wim", tmp_path / "with.md")
    row = "| `bench` | `base` | difference of `colours` | not shown | 0.00 [0.00, 0.00] | 8 |"
    assert row in (tmp_path / "with.md").read_text()
