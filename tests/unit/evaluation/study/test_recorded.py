"""Recorded critiques as they come: columns, lists, judges' prompts, files, and what is wrong."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from wim.errors import UserError
from wim.evaluation.study.recorded import Judgement, read_recorded
from wim.settings.study import RecordedSettings

JUDGES_PROMPT = (
    "###Task Description:\nWrite a feedback and a score.\n\n###The instruction to evaluate:\n{}\n\n"
    "###Response to evaluate:\n{}\n\n###Reference Answer (Score 5):\nSo.\n\n###Feedback: "
)


def read(folder: Path, rows: Sequence[Mapping[str, Any]], **settings: Any) -> list[Judgement]:
    path = folder / "recorded.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_recorded(RecordedSettings(ratings=[str(path)], **settings), [path])


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Why?", "response": "So.", "critique": "Vague.", "number": 4},
        {"instruction": "Why?", "response": "So.", "feedback": "Vague.", "score": "4"},
        {
            "instruction": JUDGES_PROMPT.format("Why?", "So."),
            "orig_instruction": "Why?",
            "orig_response": "So.",
            "orig_feedback": "Vague.",
            "orig_score": "4",
            "output": "Vague. [RESULT] 4",
        },
        {
            "instruction": JUDGES_PROMPT.format("Why?", "So."),
            "gpt4_feedback": ["Vague."],
            "gpt4_score": [4],
        },
        {"question": "Why?", "answer": "So.", "feedback": "Vague. [RESULT] 4"},
    ],
)
def test_a_judgement_is_found_by_the_usual_names(tmp_path: Path, row: Mapping[str, Any]) -> None:
    (one,) = read(tmp_path, [row])
    assert (one.prompt, one.response, one.critique, one.number) == ("Why?", "So.", "Vague.", 4.0)


def test_lists_are_several_judgements_of_one_response(tmp_path: Path) -> None:
    row = {"instruction": "Why?", "response": "So.", "feedback": ["A.", "B."], "score": [4, None]}
    found = read(tmp_path, [row])
    assert [(one.critique, one.number) for one in found] == [("A.", 4.0), ("B.", None)]


def test_an_input_follows_its_instruction(tmp_path: Path) -> None:
    row = {"instruction": "Sum up.", "input": "A text.", "response": "T.", "feedback": "F."}
    assert read(tmp_path, [row])[0].prompt == "Sum up.\n\nA text."


def test_other_columns_are_named(tmp_path: Path) -> None:
    row = {"q": "Why?", "r": "So.", "response": "no", "c": "Vague.", "n": 2, "human": 7}
    columns = {"prompt": "q", "response": "r", "critique": "c", "number": "n", "label": "human"}
    (one,) = read(tmp_path, [row], columns=columns)
    assert (one.prompt, one.response, one.critique, one.number) == ("Why?", "So.", "Vague.", 2.0)
    assert one.label == 7.0


@pytest.mark.parametrize("ending", ["json", "csv", "parquet"])
def test_files_of_other_kinds_are_read(tmp_path: Path, ending: str) -> None:
    rows = pd.DataFrame(
        [{"instruction": "Why?\nHow?", "response": "So.", "feedback": "Vague.", "score": 4}]
    )
    path = tmp_path / f"recorded.{ending}"
    if ending == "json":
        rows.to_json(path, orient="records")
    elif ending == "csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_parquet(path)
    (one,) = read_recorded(RecordedSettings(ratings=["x"]), [path])
    assert (one.prompt, one.critique, one.number) == ("Why?\nHow?", "Vague.", 4.0)


def test_what_is_missing_is_told_for_all_rows_at_once(tmp_path: Path) -> None:
    good = {"prompt": "Why?", "response": "So.", "critique": "Vague.", "number": 4}
    bad = {"prompt": "Why?", "reply": "So."}
    with pytest.raises(UserError) as told:
        read(tmp_path, [good, bad, good, bad])
    assert "line 2 has no text" in str(told.value)
    assert "line 4 has no text" in str(told.value)
    assert "reply" in str(told.value)
    with pytest.raises(UserError, match="no row has the text of a critique"):
        read(tmp_path, [{"prompt": "Why?", "response": "So.", "number": 4}])
    with pytest.raises(UserError, match=r"line 2: found the numbers 7, off the scale of 1 to 5"):
        read(tmp_path, [good, {**good, "number": 7}], scale=[1, 5])
    with pytest.raises(UserError, match="no such file"):
        read_recorded(RecordedSettings(ratings=["x"]), [tmp_path / "absent.parquet"])
