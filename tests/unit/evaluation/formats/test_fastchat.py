"""FastChat's files of MT-Bench, in their old and new forms."""

import json
import os
from pathlib import Path

import pytest

from wim.errors import UserError
from wim.evaluation.formats.fastchat import (
    ModelAnswer,
    PairwiseJudgement,
    SingleJudgement,
    read_judgements,
    read_model_answers,
    read_questions,
    write_judgements,
    write_model_answers,
)

SINGLE = {
    "question_id": 81,
    "model": "vicuna",
    "judge": ["gpt-4", "single-v1"],
    "user_prompt": "[Instruction]",
    "judgment": "Rating: [[9]]",
    "score": 9,
    "turn": 1,
    "tstamp": 1687222808.6,
}
PAIR = {
    "question_id": 81,
    "model_1": "alpaca",
    "model_2": "vicuna",
    "g1_winner": "model_1",
    "g2_winner": "tie",
    "judge": ["gpt-4", "pair-v2"],
    "g1_user_prompt": "",
    "g1_judgment": "[[A]]",
    "g2_user_prompt": "",
    "g2_judgment": "[[C]]",
    "turn": 1,
    "tstamp": 1687222808.6,
}


def lines(folder: Path, *rows: object, name: str = "judgements.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("raw", "score", "cause"),
    [
        (9, 9.0, None),
        (7.5, 7.5, None),
        (-1, None, "no score found (-1)"),
        (-1.0, None, "no score found (-1)"),
        (None, None, "no score"),
        ("nine", None, "score is no number"),
    ],
)
def test_a_score_of_minus_1_is_a_failure(tmp_path, raw, score, cause) -> None:
    (one,) = read_judgements(lines(tmp_path, SINGLE | {"score": raw})).single
    assert (one.score, one.cause) == (score, cause)
    assert (one.question_id, one.model, one.judge, one.prompt, one.turn) == (
        "81",
        "vicuna",
        "gpt-4",
        "single-v1",
        1,
    )


@pytest.mark.parametrize(
    ("winners", "read", "cause"),
    [
        (("model_1", "tie"), ("model_1", "tie"), None),
        (("error", "model_2"), (None, "model_2"), "error in one game"),
        (("error", "error"), (None, None), "error in both games"),
        (("inconsistent", "model_1"), (None, "model_1"), "winner is inconsistent"),
        ((None, "model_1"), (None, "model_1"), "winner is None"),
    ],
)
def test_a_pair_has_a_winner_in_each_game_or_a_cause(tmp_path, winners, read, cause) -> None:
    row = PAIR | dict(zip(("g1_winner", "g2_winner"), winners, strict=True))
    (one,) = read_judgements(lines(tmp_path, row)).pairs
    assert (one.in_order, one.swapped, one.cause) == (*read, cause)


@pytest.mark.parametrize(("winner", "read"), [("model_2", "model_2"), ("inconsistent", "tie")])
def test_old_pairs_have_one_verdict_of_both_games(tmp_path, winner, read) -> None:
    old = {key: value for key, value in PAIR.items() if not key.startswith("g") and key != "turn"}
    (one,) = read_judgements(lines(tmp_path, old | {"winner": winner})).pairs
    assert (one.in_order, one.swapped, one.one_verdict, one.turn) == (read, read, True, 1)


def test_without_a_turn_the_prompts_name_tells_it(tmp_path: Path) -> None:
    row = {key: value for key, value in SINGLE.items() if key != "turn"}
    row["judge"] = ["gpt-4", "single-math-v1-multi-turn"]
    assert read_judgements(lines(tmp_path, row)).single[0].turn == 2


def test_what_is_no_judgement_is_named_by_its_place(tmp_path: Path) -> None:
    path = lines(tmp_path, SINGLE, {"question_id": 81}, PAIR)
    with path.open("a") as file:
        file.write('{"question_id": 82, "mod')
    found = read_judgements(path)
    assert (len(found.single), len(found.pairs)) == (1, 1)
    assert sorted(found.unreadable) == ["line 2", "line 4"]


def test_a_file_without_judgements_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no row is a judgement; line 1 has a.*model_judgment"):
        read_judgements(lines(tmp_path, {"a": 1}))
    with pytest.raises(UserError, match="no such file"):
        read_judgements(tmp_path / "none.jsonl")


def test_judgements_survive_being_written(tmp_path: Path) -> None:
    rows = [
        SingleJudgement(
            question_id="81", model="a", judge="gpt-4", prompt="single-v1", score=8.0, turn=2
        ),
        SingleJudgement(
            question_id="x",
            model="a",
            judge="gpt-4",
            prompt="single-v1",
            score=None,
            turn=1,
            cause="no score found (-1)",
        ),
        PairwiseJudgement(
            question_id="82",
            model_1="a",
            model_2="b",
            judge="gpt-4",
            prompt="pair-v2",
            in_order="tie",
            swapped=None,
            turn=1,
            cause="error in one game",
            judgments=("[[C]]", "?"),
        ),
    ]
    write_judgements(tmp_path / "again.jsonl", rows)
    found = read_judgements(tmp_path / "again.jsonl")
    assert [*found.single, *found.pairs] == rows
    first = json.loads((tmp_path / "again.jsonl").read_text().splitlines()[0])
    assert first["question_id"] == 81
    assert first.keys() == SINGLE.keys()


def test_answers_survive_being_written_and_are_equal_to_the_byte(tmp_path: Path) -> None:
    answers = [ModelAnswer(question_id="81", model="mine", turns=("Aloha!", "Also."))]
    for name in ("one.jsonl", "two.jsonl"):
        write_model_answers(tmp_path / name, answers)
    assert read_model_answers(tmp_path / "one.jsonl") == answers
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    row = json.loads((tmp_path / "one.jsonl").read_text())
    assert row["choices"] == [{"index": 0, "turns": ["Aloha!", "Also."]}]


def test_a_row_without_answer_or_turns_is_refused_by_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 1 has no id or no answer"):
        read_model_answers(lines(tmp_path, {"question_id": 1, "choices": []}))
    with pytest.raises(UserError, match="line 1 has no id or no turns"):
        read_questions(lines(tmp_path, {"question_id": 1}))


def test_the_published_questions_and_reference_answers_are_read() -> None:
    data = Path(os.environ.get("WIM_TEST_DATA", "")) / "fastchat_judge"
    if not data.is_dir():
        pytest.skip("WIM_TEST_DATA does not name the folder of the open data")
    questions = read_questions(data / "mt_bench_question.jsonl")
    assert [one.question_id for one in questions] == [str(n) for n in range(81, 161)]
    assert len({one.category for one in questions}) == 8
    assert all(len(one.turns) == 2 for one in questions)
    answers = read_model_answers(data / "mt_bench_reference_gpt-4.jsonl")
    assert (len(answers), {one.model for one in answers}) == (30, {"gpt-4"})
