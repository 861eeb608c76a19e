"""Arena-Hard's files, in the forms of versions 0.1 and 2.0."""

import json
from pathlib import Path

import pytest

from wim.errors import UserError
from wim.evaluation.compared.style import style_of
from wim.evaluation.formats.arena_hard import (
    LABELS,
    ArenaAnswer,
    read_answers,
    read_judgements,
    read_questions,
    write_answers,
)


def lines(folder: Path, *rows: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_answers_of_both_versions_are_read(tmp_path: Path) -> None:
    first = {
        "question_id": "u1",
        "answer_id": "x",
        "model_id": "mine",
        "choices": [{"index": 0, "turns": [{"content": "So.", "token_len": 2}]}],
    }
    second = {
        "uid": "u2",
        "model": "mine",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": {"answer": "So.", "thought": "hm"}},
        ],
        "metadata": {"token_len": 2},
    }
    plain = second | {"messages": [{"role": "assistant", "content": "So."}], "metadata": {}}
    assert read_answers(lines(tmp_path, first, second, plain)) == [
        ArenaAnswer(uid="u1", model="mine", prompt="", answer="So.", tokens=2),
        ArenaAnswer(uid="u2", model="mine", prompt="Why?", answer="So.", tokens=2),
        ArenaAnswer(uid="u2", model="mine", prompt="", answer="So."),
    ]


def test_a_file_of_one_line_is_one_answer(tmp_path: Path) -> None:
    row = {"uid": "u", "model": "mine", "messages": [{"role": "assistant", "content": "So."}]}
    assert len(read_answers(lines(tmp_path, row))) == 1


def test_answers_survive_being_written(tmp_path: Path) -> None:
    answer = ArenaAnswer(uid="u", model="mine", prompt="Why?", answer="# So\n- **it**\n", tokens=7)
    write_answers(tmp_path / "out.jsonl", [(answer, style_of(answer.answer, 7))])
    assert read_answers(tmp_path / "out.jsonl") == [answer]
    metadata = json.loads((tmp_path / "out.jsonl").read_text())["metadata"]
    counts = [sum(metadata[f"{name}_count"].values()) for name in ("header", "list", "bold")]
    assert counts == [1, 1, 1]


def test_questions_of_both_versions_are_read(tmp_path: Path) -> None:
    found = read_questions(
        lines(
            tmp_path,
            {"uid": "u", "category": "hard_prompt", "subcategory": "coding", "prompt": "Why?"},
            {"question_id": "v", "cluster": "c", "turns": [{"content": "How?"}]},
        )
    )
    assert [(one.uid, one.prompt, one.category) for one in found] == [
        ("u", "Why?", "coding"),
        ("v", "How?", ""),
    ]


def test_a_label_is_turned_to_the_models_side_and_a_clear_one_counts_three_times(tmp_path) -> None:
    games = [{"score": "A>>B"}, {"score": "A>B", "judgment": "[[A>B]]"}]
    (one,) = read_judgements(
        lines(
            tmp_path, {"uid": "u", "model": "mine", "baseline": "o3", "judge": "j", "games": games}
        )
    )
    # The first game shows the baseline as A, so that its win is the model's loss.
    assert one.games() == [(0.0, 3), (1.0, 1)]
    assert (one.baseline, one.judge) == ("o3", "j")


def test_a_game_without_a_label_is_none(tmp_path: Path) -> None:
    games = [{"score": None}, {"score": "A=B"}]
    (one,) = read_judgements(lines(tmp_path, {"question_id": "u", "model": "mine", "games": games}))
    assert one.baseline_first is None
    assert one.games() == [(0.5, 1)]
    assert one.baseline == "gpt-4-0314"


def test_labels_are_symmetric() -> None:
    for label, (score, times) in LABELS.items():
        assert LABELS[label.translate(str.maketrans("AB", "BA"))] == (1 - score, times)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (read_answers, "line 1 has no answer"),
        (read_questions, "line 1 has no prompt"),
        (read_judgements, "line 1 has no model or no games"),
    ],
)
def test_a_row_of_another_form_is_refused_by_line(tmp_path: Path, read, said) -> None:
    with pytest.raises(UserError, match=said):
        read(lines(tmp_path, {"uid": "u", "model": "mine"}))
