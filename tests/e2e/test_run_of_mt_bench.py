"""MT-Bench in a run: two turns, graded and compared by a judge behind an API, and read back."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from support.api_server import ApiServer, Fields, Reply, last_message, said
from support.workflow_runs import Project
from wim.evaluation.evaluate import evaluate
from wim.evaluation.formats.fastchat import read_judgements, read_model_answers, read_questions
from wim.evaluation.mt_bench import pair_scores, single_scores
from wim.settings.evaluations import EvaluationSettings

QUESTIONS = [
    {"question_id": 81, "category": "writing", "turns": ["Write a line.", "Shorten it."]},
    {
        "question_id": 101,
        "category": "reasoning",
        "turns": ["Who is second?", "And who is last?"],
        "reference": ["Ada.", "Unknown."],
    },
    {
        "question_id": 121,
        "category": "extraction",
        "turns": ["Name the river.", "Name its mouth."],
        "reference": ["Elbe", "North Sea"],
    },
    {"question_id": 141, "category": "stem", "turns": ["Explain tides.", "Use no Moon."]},
]
OTHERS = [
    {
        "question_id": each["question_id"],
        "model_id": "others",
        "choices": [{"index": 0, "turns": ["A good answer.", "A second one."]}],
    }
    for each in QUESTIONS[:3]
]
OTHERS[2]["choices"][0]["turns"].pop()  # type: ignore[index]


def judge(fields: Fields, before: int) -> Reply:
    """A judge that likes good answers; it says no verdict about tides and a number on the river."""
    text = last_message(fields)
    if "tides" in text:
        return said("They come and go.")
    if "You compare" in text:
        a = text.index("A good answer") < text.index("[assistant B")
        return said("[[A]] or [[B]]" if "river" in text else "So: [[A]]" if a else "So: [[B]]")
    if "river" in text:
        return said("As said in [2], it is long.")
    graded = text.split("[answer to grade]")[-1].split("[end of the reference answers]")[-1]
    later = "[end of the conversation]" in text
    grade = 2 + 3 * ("A good answer." in graded) + later
    return said(f"Rating: [[{grade}.5]]" if "Ada." in text else f"Well. Rating: [[{grade}]]")


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Project]:
    """A run of two evaluations of one set of questions."""
    common: dict[str, Any] = {
        "kind": "mt_bench",
        "judge": "grader",
        "prompts": {"files": ["question.jsonl"]},
        "speakers": ["others"],
        "answers": {"others": "others.jsonl"},
    }
    with ApiServer(judge) as server:
        far = {"source": "endpoint:far-1@2026-01", "api": {"url": server.url}}
        config: dict[str, object] = {
            "models": {"tiny": {"source": f"path:{tiny_model}", "dtype": "float32"}, "far": far},
            "prompts": {"files": ["prompts.jsonl"], "shards": 1},
            "dialogues": {"actor": "tiny", "sampling": {"max_new_tokens": 8}},
            "judges": {
                "grader": {
                    "model": "far",
                    "method": "mt_bench",
                    "sampling": {"max_new_tokens": 256, "temperature": 0},
                }
            },
            "evaluations": {
                "graded": common,
                "paired": {**common, "mode": "pairwise"},
            },
        }
        made = Project.copied(tmp_path_factory.mktemp("mt") / "project", config, ["Hi there."])
        for name, rows in (("question", QUESTIONS), ("others", OTHERS)):
            text = "".join(f"{json.dumps(row)}\n" for row in rows)
            (made.folder / f"{name}.jsonl").write_text(text)
        made.run("--", "evaluation")
        yield made


def figures(project: Project, name: str) -> dict[str, Any]:
    path = project.folder / f"results/evaluation/{name}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_second_turn_is_asked_after_the_speakers_own_first_answer(project: Project) -> None:
    rows = pd.read_parquet(project.folder / "results/dialogues/graded@base")
    assert sorted(rows["turn"]) == [1] * 4 + [2] * 4
    for _, two in rows.sort_values("turn").groupby("prompt_id"):
        first, second = two.to_dict("records")
        assert [each["role"] for each in second["context"]] == ["user", "assistant", "user"]
        assert list(second["context"][:1]) == list(first["context"])
        assert second["context"][1]["content"] == first["completion"]
        assert first["continued"]
        assert not second["continued"]


def test_every_turn_is_graded_and_failures_are_counted_by_cause(project: Project) -> None:
    found = figures(project, "graded")
    base, others = found["speakers"]["base"], found["speakers"]["others"]
    # The judge's grades: 2 and 3 without a reference, 2.5 and 3.5 with one.
    assert base["mean"]["value"] == pytest.approx((2 + 3 + 2.5 + 3.5) / 4)
    assert base["by_turn"]["1"]["value"] == 2.25
    assert base["failures"] == {"unparsable": 4}
    assert others["mean"]["value"] == pytest.approx(2.75 + 3)
    assert others["failures"] == {"unparsable": 1}
    assert set(base["by_category"]) == {"reasoning", "writing"}
    assert others["difference"]["difference"]["value"] == 3
    assert others["difference"]["common"] == 4
    assert others["difference"]["prompts"] == 2
    assert found["unanswered"] == {"base": 0, "others": 3}
    said = json.loads((project.folder / "results/evaluation/verdict.json").read_text())
    assert "others" in said["graded"]
    text = (project.folder / "results/evaluation/graded.md").read_text()
    assert "4 unparsable" in text
    assert "3 of 8" in text


def test_pairs_are_compared_in_both_orders_turn_by_turn(project: Project) -> None:
    found = figures(project, "paired")["speakers"]
    assert list(found) == ["others"]
    assert (found["others"]["wins"], found["others"]["losses"]) == (4, 0)
    assert found["others"]["failures"] == {"unparsable": 1}
    assert found["others"]["adjusted"]["value"] == 1


@pytest.mark.parametrize(("name", "file"), [("graded", "single"), ("paired", "pair")])
def test_what_is_exported_has_the_same_figures(project: Project, name: str, file: str) -> None:
    folder = project.folder / f"results/evaluation/exports/{name}"
    read = read_judgements(folder / f"model_judgment/grader_{file}.jsonl")
    questions = read_questions(folder / "question.jsonl")
    assert [one.question_id for one in questions] == ["81", "101", "121", "141"]
    categories = {one.question_id: one.category for one in questions}
    own = figures(project, name)["speakers"]
    figure = "mean" if file == "single" else "adjusted"
    again = (
        single_scores(read.single, categories, 0)
        if file == "single"
        else pair_scores(read.pairs, categories, 0, "base")
    )
    assert {one.model for one in again} == set(own)
    for one in again:
        values = vars(one)
        assert values[figure].value == pytest.approx(own[one.model][figure]["value"])
        assert {str(turn): each.n for turn, each in one.by_turn.items()} == {
            turn: each["n"] for turn, each in own[one.model]["by_turn"].items()
        }
        assert sum(one.failures.values()) == sum(own[one.model]["failures"].values())
        for category, each in one.by_category.items():
            assert each.value == pytest.approx(own[one.model]["by_category"][category]["value"])
    answers = read_model_answers(folder / "model_answer/others.jsonl")
    assert [len(one.turns) for one in answers] == [2, 2, 1]


def jobs(output: str) -> dict[str, int]:
    stats = output.split("Job stats:")[1].split("total")[0]
    return {rule: int(count) for rule, count in re.findall(r"(\w+) +(\d+)\n", stats)}


def test_another_judge_a_new_speaker_and_another_parse_rule_cost_their_own_alone(
    project: Project, tiny_model: Path
) -> None:
    target = "results/evaluation/graded.json"
    assert "Nothing to be done" in project.run("-n", "--", target)
    before = project.config
    project.set("evaluations.graded.parse", "as_published")
    assert jobs(project.run("-n", "--", target)) == {"evaluate": 1}
    project.configure(before)
    project.set("judges.grader.sampling.max_new_tokens", 300)
    assert jobs(project.run("-n", "--", target)) == {"evaluate": 1, "rate_candidates": 2}
    project.configure(before)
    project.set("models.more", {"source": f"path:{tiny_model}", "dtype": "float32"})
    project.set("evaluations.graded.speakers", ["others", "more"])
    assert jobs(project.run("-n", "--", target)) == {
        **{"evaluate": 1, "rate_candidates": 1, "generate_dialogues": 1, "stage_model": 1}
    }
    project.configure(before)
    template = project.folder / "config/templates/mt_bench/pair.jinja"
    template.write_text(template.read_text() + "\nBe brief.")
    assert "Nothing to be done" in project.run("-n", "--", target)
    project.set("evaluations.graded.temperatures", {"writing": 0.2})
    assert jobs(project.run("-n", "--", target))["generate_dialogues"] == 1
    project.configure(before)


def test_grades_are_given_without_the_questions_that_leak(project: Project, tmp_path: Path) -> None:
    results = project.folder / "results"
    prompts = sorted(results.glob("evaluation/prompts/graded/*.parquet"))
    (leaking,) = (
        row["prompt_id"]
        for row in pd.concat(map(pd.read_parquet, prompts)).to_dict("records")
        if row["messages"][-1]["content"] == "Write a line."
    )
    leaks = tmp_path / "leaks.jsonl"
    leaks.write_text(json.dumps({"prompt_id": leaking, "kind": "exact"}) + "\n")
    tables = {
        kind: [
            str(path)
            for speaker in ("base", "others")
            for path in sorted(results.glob(f"{kind}/graded@{speaker}/**/*.parquet"))
        ]
        for kind in ("dialogues", "ratings")
    }
    inputs: Any = SimpleNamespace(
        prompts=list(map(str, prompts)),
        leaks=str(leaks),
        answers=tables["dialogues"],
        ratings=tables["ratings"],
        kl=[],
    )
    files = (str(tmp_path / f"graded.{suffix}") for suffix in ("json", "md", "svg"))
    output: Any = SimpleNamespace(**dict(zip(("table", "text", "figure"), files, strict=True)))
    settings = EvaluationSettings.model_validate(project.config["evaluations"]["graded"])  # type: ignore[index]
    evaluate(inputs, "graded", settings, ["base", "others"], 0, output)
    own = figures(project, "graded")["speakers"]["base"]
    found = json.loads(Path(output.table).read_text())["speakers"]["base"]
    assert found["mean"]["value"] == own["mean"]["value"]
    assert (own["mean"]["n"], found["without_leaks"]["n"]) == (4, 2)
    assert found["without_leaks"]["value"] == own["by_category"]["reasoning"]["value"]
    assert "without leaks" in Path(output.text).read_text()
