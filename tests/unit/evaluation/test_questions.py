"""Questions of several turns: read, answered elsewhere, and the figures of what is said of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.builders import candidate, rating
from wim.errors import UserError
from wim.evaluation.evaluation_figure import draw_evaluation
from wim.evaluation.evaluation_text import evaluation_text
from wim.evaluation.prompts import evaluation_prompts
from wim.evaluation.question_figures import answer_figures, pair_figures, single_figures
from wim.evaluation.question_judgements import (
    AnsweredQuestions,
    answered_questions,
    pair_judgements,
    single_judgements,
)
from wim.evaluation.questions import read_question_answers
from wim.judging.pairwise import pair_id_of
from wim.prompts.questions import Question, question_of
from wim.settings.prompts import PromptSettings
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import (
    COMPARISONS,
    DIALOGUES,
    PROMPTS,
    RATINGS,
    Candidate,
    Comparison,
    Prompt,
)

ROWS: list[dict[str, Any]] = [
    {"question_id": 81, "category": "writing", "turns": ["Write.", "Shorten."]},
    {
        "question_id": 101,
        "category": "math",
        "turns": ["1 + 1?", "2 + 2?"],
        "reference": ["2", "4"],
    },
    {"question_id": 102, "category": "math", "turns": ["Pi?", "E?"], "reference": ["3.1", None]},
    {
        "question_id": 131,
        "category": "stem",
        "turns": ["Why?", "How?"],
        "reference": ["So", "Thus"],
    },
]


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def ingested(
    tmp_path: Path, rows: list[dict[str, Any]], references: Path | None = None
) -> list[Prompt]:
    settings = PromptSettings(files=[str(lines(tmp_path / "question.jsonl", rows))])
    output = tmp_path / "000.parquet"
    evaluation_prompts(settings.files, settings, [output], ["math"], references)
    return [Prompt(**row) for row in read_table(output, PROMPTS).to_pylist()]


def test_a_question_is_a_prompt_of_its_first_turn_that_carries_the_rest(tmp_path: Path) -> None:
    prompts = ingested(tmp_path, ROWS)
    found = {question_of(prompt).question_id: prompt for prompt in prompts}
    assert found["81"].messages == [{"role": "user", "content": "Write."}]
    assert question_of(found["81"]).turns == ("Write.", "Shorten.")
    assert found["81"].split == "eval"


def test_references_are_those_of_the_named_categories(tmp_path: Path) -> None:
    found = {question_of(p).question_id: question_of(p) for p in ingested(tmp_path, ROWS)}
    assert found["101"].references(1) == ["2"]
    assert found["101"].references(2) == ["2", "4"]
    assert (found["102"].references(1), found["102"].references(2)) == (["3.1"], [])
    assert found["131"].reference == ()


def answer_row(question: int, *turns: str) -> dict[str, Any]:
    return {"question_id": question, "model_id": "x", "choices": [{"index": 0, "turns": turns}]}


def test_a_file_of_reference_answers_takes_the_place_of_the_questions_own(tmp_path: Path) -> None:
    path = lines(tmp_path / "gpt-4.jsonl", [answer_row(101, "two", "four")])
    found = {question_of(p).question_id: question_of(p) for p in ingested(tmp_path, ROWS, path)}
    assert found["101"].references(2) == ["two", "four"]
    assert found["102"].reference == ()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"question_id": 1, "category": "math"}], "no turns"),
        ([{"category": "math", "turns": ["A", "B"]}], "no id"),
        ([{"question_id": 1, "turns": ["A", ""]}], "no turns that all have text"),
        ([ROWS[0], {**ROWS[1], "question_id": 81}], "the id 81"),
        ([ROWS[0], {**ROWS[0], "question_id": 82}], "these turns"),
    ],
)
def test_a_row_that_is_no_question_of_its_own_is_named(tmp_path: Path, rows, said) -> None:
    with pytest.raises(UserError, match=said) as refusal:
        ingested(tmp_path, rows)
    assert "question.jsonl" in str(refusal.value)


def test_answers_out_of_a_file_are_joined_by_id_and_follow_each_other(tmp_path: Path) -> None:
    ingested(tmp_path, ROWS)
    answers = lines(tmp_path / "x.jsonl", [answer_row(101, "2", "4"), answer_row(81, "A line.")])
    read_question_answers(
        tmp_path / "000.parquet", answers, None, "x", tmp_path / "dialogues.parquet"
    )
    rows = read_table(tmp_path / "dialogues.parquet", DIALOGUES).to_pylist()
    found = {(row["context"][0]["content"], row["turn"]): row for row in rows}
    assert set(found) == {("1 + 1?", 1), ("1 + 1?", 2), ("Write.", 1)}
    second = found["1 + 1?", 2]
    assert [each["content"] for each in second["context"]] == ["1 + 1?", "2", "2 + 2?"]
    assert second["completion"] == "4"
    twice = lines(tmp_path / "y.jsonl", [answer_row(81, "A"), answer_row(81, "B")])
    with pytest.raises(UserError, match="two answers to the question 81"):
        read_question_answers(tmp_path / "000.parquet", twice, None, "y", tmp_path / "d.parquet")


# Figures.


def turn(speaker: str, question: int, number: int, text: str, **columns: Any) -> Candidate:
    turns = ROWS[question]["turns"]
    context = [{"role": "user", "content": turns[0]}]
    if number == 2:
        context += [
            {"role": "assistant", "content": f"{speaker} first"},
            {"role": "user", "content": turns[1]},
        ]
    name = f"{speaker}-{question}-{number}"
    defaults = {"prompt_id": f"p{question}", "turn": number, "context": context}
    return candidate(name, completion=text, **{**defaults, **columns})


def answered(speakers: dict[str, list[Candidate]]) -> AnsweredQuestions:
    questions = {
        f"p{number}": Question(
            question_id=str(row["question_id"]),
            category=row["category"],
            turns=tuple(row["turns"]),
        )
        for number, row in enumerate(ROWS[:2])
    }
    return AnsweredQuestions(
        questions,
        {name: {(row.prompt_id, row.turn): row for row in rows} for name, rows in speakers.items()},
    )


def rated(tmp_path: Path, name: str, grades: dict[str, tuple[str, float | None, str]]) -> str:
    rows = [
        rating(key, status=status, rating=None, rating_expected=score, raw=raw, wim=None)
        for key, (status, score, raw) in grades.items()
    ]
    write_table(tmp_path / f"{name}.parquet", RATINGS, as_arrow(RATINGS, rows))
    return str(tmp_path / f"{name}.parquet")


@pytest.fixture
def graded(tmp_path: Path) -> tuple[AnsweredQuestions, list[str]]:
    """Two speakers' answers to two questions, and their grades; one is in the words alone."""
    found = answered(
        {
            "base": [turn("base", q, n, f"base {q} {n}") for q in (0, 1) for n in (1, 2)],
            "wim": [
                turn("wim", 0, 1, "wim"),
                turn("wim", 0, 2, "wim", finish_reason="length"),
                turn("wim", 1, 1, "wim"),
            ],
        }
    )
    base = {
        "base-0-1": ("ok", 4.0, "[[4]]"),
        "base-0-2": ("ok", 5.0, "[[5]]"),
        "base-1-1": ("unparsable", None, "I say [30] of them."),
        "base-1-2": ("error", None, "(no answer: HTTP status 500 [7])"),
    }
    wim = {
        "wim-0-1": ("ok", 6.0, "[[6]]"),
        "wim-0-2": ("ok", 9.0, "[[9]]"),
        "wim-1-1": ("ok", 1.0, "[[1]]"),
    }
    return found, [rated(tmp_path, "base", base), rated(tmp_path, "wim", wim)]


def test_a_failed_grade_is_in_no_mean_and_is_counted(graded) -> None:
    found, ratings = graded
    figures = single_figures(single_judgements(found, ratings, "j", published=False), found, 0)
    base, wim = (figures["speakers"][name] for name in ("base", "wim"))
    assert (base["mean"]["value"], base["mean"]["n"]) == (4.5, 2)
    assert base["failures"] == {"error": 1, "unparsable": 1}
    assert wim["mean"]["value"] == pytest.approx(16 / 3)
    assert {turn: each["value"] for turn, each in wim["by_turn"].items()} == {1: 3.5, 2: 9.0}
    assert wim["by_category"]["math"]["value"] == 1
    # Over the turns that both have a grade of: 6 - 4 and 9 - 5, of one question.
    assert wim["difference"]["difference"]["value"] == 3
    assert (wim["difference"]["common"], wim["difference"]["prompts"]) == (2, 1)
    assert wim["verdict"]["verdict"] == "not shown"
    assert "difference" not in base


def test_read_as_published_a_number_in_brackets_counts_and_an_error_never(graded) -> None:
    found, ratings = graded
    figures = single_figures(single_judgements(found, ratings, "j", published=True), found, 0)
    base = figures["speakers"]["base"]
    assert (base["mean"]["value"], base["outside"]) == (13, 1)
    assert base["failures"] == {"error": 1}


def test_intervals_draw_questions_with_all_their_turns(tmp_path: Path) -> None:
    speakers, grades = {}, {}
    rows = [turn("base", q, n, "x") for q in (0, 1) for n in (1, 2)]
    speakers["base"] = rows
    grades = {
        row.candidate_id: ("ok", 2.0 if "-0-" in row.candidate_id else 8.0, "") for row in rows
    }
    found = answered(speakers)
    judged = single_judgements(found, [rated(tmp_path, "b", grades)], "j", published=False)
    mean = single_figures(judged, found, 0)["speakers"]["base"]["mean"]
    # Two questions: a quarter of the draws take the worse one twice.
    assert (mean["low"], mean["high"]) == (2, 8)


def test_what_was_not_answered_or_cut_is_told(graded) -> None:
    found, _ = graded
    figures = answer_figures(found, 0)
    assert figures["turns"] == 4
    assert figures["unanswered"] == {"base": 0, "wim": 1}
    assert figures["cut"] == {"base": 0, "wim": 1}


def compared(a: Candidate, b: Candidate, *raw: str | None, status: str = "ok") -> Comparison:
    return Comparison(
        pair_id_of(a.candidate_id, b.candidate_id),
        "j",
        status,
        None,
        None,
        *[None] * 4,
        "d",
        raw_a_shown_first=raw[0],
        raw_b_shown_first=raw[1],
    )


@pytest.fixture
def paired(tmp_path: Path) -> tuple[AnsweredQuestions, list[str]]:
    """A speaker against base in four turns: won, disagreed on, failed once, and equal."""
    base = [turn("base", q, n, "base") for q in (0, 1) for n in (1, 2)]
    wim = [turn("wim", q, n, "wim") for q in (0, 1) for n in (1, 2)]
    equal = turn("wim", 1, 1, "base")
    wim[2] = equal
    rows = [
        compared(wim[0], base[0], "[[A]]", "[[B]]"),
        compared(wim[1], base[1], "[[A]]", "[[A]]"),
        compared(wim[3], base[3], "[[B]] and not [[A]]", "[[B]]", status="unparsable"),
    ]
    path = tmp_path / "pairs.parquet"
    write_table(path, COMPARISONS, as_arrow(COMPARISONS, rows))
    return answered({"base": base, "wim": wim}), [str(path)]


def test_pairs_are_won_in_both_orders_and_a_failed_order_is_no_tie(paired) -> None:
    found, paths = paired
    figures = pair_figures(pair_judgements(found, paths, "j", published=False), found, 0)
    wim = figures["speakers"]["wim"]
    assert (wim["wins"], wim["ties"], wim["losses"]) == (1, 2, 0)
    assert wim["adjusted"]["value"] == pytest.approx(2 / 3)
    assert wim["failures"] == {"one order failed: unparsable": 1}
    assert wim["verdict"]["verdict"] == "not shown"
    published = pair_figures(pair_judgements(found, paths, "j", published=True), found, 0)
    # [[A]] is looked for before [[B]], so that the failed pair is a win as well.
    assert published["speakers"]["wim"]["wins"] == 2
    assert published["speakers"]["wim"]["failures"] == {}


@pytest.mark.parametrize("mode", ["single", "pairwise"])
def test_the_page_and_the_figure_tell_it(tmp_path: Path, mode, graded, paired) -> None:
    if mode == "single":
        found, paths = graded
        own = single_figures(single_judgements(found, paths, "j", published=True), found, 0)
    else:
        found, paths = paired
        own = pair_figures(pair_judgements(found, paths, "j", published=False), found, 0)
    figures = {
        "evaluation": "mt",
        "kind": "mt_bench",
        "reference": "base",
        "by": "j",
        "prompts": 2,
        "leaks": {"file": "leaks.jsonl", "what": "report"},
        "mode": mode,
        "parse": "strict",
        "kl": {},
        **answer_figures(found, 0),
        **own,
    }
    text = evaluation_text(figures)
    assert "2 questions; every speaker against `base`, by `j`" in text
    assert "## By category" in text
    assert ("| not from 1 to 10 |" in text) == (mode == "single")
    assert "one order failed" in text or mode == "single"
    draw_evaluation(figures, tmp_path / "mt.svg")
    assert (tmp_path / "mt.svg").stat().st_size > 1000


def test_a_prompt_that_is_dropped_is_in_no_figure(tmp_path: Path) -> None:
    prompts = ingested(tmp_path, ROWS)
    one = next(prompt for prompt in prompts if question_of(prompt).question_id == "81")
    rows = [candidate(p.prompt_id, prompt_id=p.prompt_id) for p in prompts]
    write_table(tmp_path / "d.parquet", DIALOGUES, as_arrow(DIALOGUES, rows))
    found = answered_questions(
        [str(tmp_path / "000.parquet")], [str(tmp_path / "d.parquet")], ["base"], {one.prompt_id}
    )
    assert (found.turns, len(found.answers["base"])) == (6, 3)
