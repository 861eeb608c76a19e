"""AlpacaEval's files in the forms that are about, and what is wrong in them by name."""

import json
from pathlib import Path

import pytest

from wim.errors import UserError
from wim.evaluation.formats.alpaca_eval import (
    Annotation,
    ModelOutput,
    read_annotations,
    read_difficulties,
    read_gamed,
    read_model_outputs,
    write_annotations,
    write_model_outputs,
)

ROW = {
    "instruction": "Why?",
    "output_1": "Because.",
    "generator_1": "gpt4_1106_preview",
    "dataset": "koala",
    "output_2": "So.",
    "generator_2": "mine",
    "annotator": "weighted_alpaca_eval_gpt4_turbo",
    "preference": 1.9900139974,
    "price_per_example": 0.01,
    "time_per_example": 0.2,
    "raw_completion": {"text": "m", "logprobs": {"content": []}},
}


def written(folder: Path, value: object, name: str = "annotations.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


FORMS = {
    "a list": [ROW, ROW],
    "JSON lines": f"{json.dumps(ROW)}\n\n{json.dumps(ROW)}\n",
    "with a byte order mark": "\ufeff" + json.dumps([ROW, ROW]),
    "an object of lists by model": {"mine": [ROW], "other": [ROW]},
    "an object with the list": {"annotations": [ROW, ROW], "n": 2},
    "columns of lists": {key: [value, value] for key, value in ROW.items()},
    "columns by row number": {key: {"0": value, "1": value} for key, value in ROW.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_annotations_are_read_in_every_form(tmp_path: Path, form: str) -> None:
    found = read_annotations(written(tmp_path, FORMS[form]))
    assert len(found.rows) == 2
    assert found.rows[0] == Annotation(
        instruction="Why?",
        output_1="Because.",
        generator_1="gpt4_1106_preview",
        output_2="So.",
        generator_2="mine",
        annotator="weighted_alpaca_eval_gpt4_turbo",
        preference=1.9900139974,
        dataset="koala",
    )


@pytest.mark.parametrize(
    ("raw", "preference", "cause"),
    [
        (1, 1.0, None),
        (2.0, 2.0, None),
        (1.5, 1.5, None),
        (0, 1.5, None),
        ("2", 2.0, None),
        (1.4593660117, 1.4593660117, None),
        (None, None, "no preference"),
        (float("nan"), None, "no preference"),
        (0.4, None, "preference outside 1 to 2"),
        (-1, None, "preference outside 1 to 2"),
        (3, None, "preference outside 1 to 2"),
        ("m", None, "preference is no number"),
        (True, None, "preference is no number"),
        ([1], None, "preference is no number"),
    ],
)
def test_a_preference_is_from_1_to_2_or_has_a_cause(tmp_path, raw, preference, cause) -> None:
    (row,) = read_annotations(written(tmp_path, [ROW | {"preference": raw}])).rows
    assert (row.preference, row.cause) == (preference, cause)


def test_old_files_have_fewer_keys_and_an_input(tmp_path: Path) -> None:
    old = {"instruction": "Sum up.", "input": "A text.", "output_1": "a", "output_2": "b"}
    (row,) = read_annotations(written(tmp_path, [old | {"preference": 0}])).rows
    assert (row.instruction, row.preference) == ("Sum up.\n\nA text.", 1.5)
    assert (row.generator_1, row.generator_2, row.annotator) == (
        "output_1",
        "output_2",
        "unnamed judge",
    )


def test_what_is_no_row_is_named_by_its_place(tmp_path: Path) -> None:
    assert read_annotations(written(tmp_path, [ROW, "text", None])).unreadable == ["row 2", "row 3"]
    lines = f'{json.dumps(ROW)}\n{{"instruction": "cut'
    found = read_annotations(written(tmp_path, lines, "annotations.jsonl"))
    assert (len(found.rows), found.unreadable) == (1, ["line 2"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "an empty file"),
        ("[]", "no row in it"),
        ("12", "no row in it"),
        (json.dumps([ROW])[:-40], "not JSON"),
        ('[{"instruction": "x", "output": "y"}]', "no row has a preference; row 1 has instruction"),
    ],
)
def test_a_file_without_annotations_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UserError, match=said) as refused:
        read_annotations(path)
    assert str(path) in str(refused.value)
    assert "AlpacaEval's annotations.json" in str(refused.value)


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_annotations(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00[")
    with pytest.raises(UserError, match="not UTF-8"):
        read_annotations(tmp_path / "binary.json")


def test_annotations_survive_being_written(tmp_path: Path) -> None:
    rows = read_annotations(written(tmp_path, [ROW, ROW | {"preference": None}])).rows
    write_annotations(tmp_path / "again.json", rows)
    assert read_annotations(tmp_path / "again.json").rows == rows
    first = json.loads((tmp_path / "again.json").read_text())[0]
    assert first.keys() == ROW.keys()


def test_model_outputs_survive_being_written(tmp_path: Path) -> None:
    outputs = [
        ModelOutput(instruction="Why? <|end|> é", output="", generator="mine"),
        ModelOutput(instruction="How?", output="So.", generator="mine", dataset="koala"),
    ]
    write_model_outputs(tmp_path / "model_outputs.json", outputs)
    assert read_model_outputs(tmp_path / "model_outputs.json") == outputs


def test_an_output_without_answer_is_refused_by_row(tmp_path: Path) -> None:
    rows = [{"instruction": "a", "output": "b"}, {"instruction": "a"}]
    with pytest.raises(UserError, match="row 2 has no output"):
        read_model_outputs(written(tmp_path, rows))
    with pytest.raises(UserError, match="row 1 has no instruction"):
        read_model_outputs(written(tmp_path, [{"output": "b"}]))


def test_difficulties_are_by_the_instructions_number(tmp_path: Path) -> None:
    text = ",instruction_difficulty\n1,0.5\n0,-1.25\n2,2\n"
    assert read_difficulties(written(tmp_path, text, "d.csv")) == [-1.25, 0.5, 2.0]
    gamed = "index,instruction_difficulty,model\n0,-1.25,a\n1,0.5,a\n0,-1.25,b\n1,0.5,b\n"
    assert read_difficulties(written(tmp_path, gamed, "g.csv")) == [-1.25, 0.5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("index,difficulty\n0,1\n", "no column instruction_difficulty"),
        ("", "no column instruction_difficulty"),
        (",instruction_difficulty\n0,1\n5,1\n", "not numbered from 0 to 1"),
        (",instruction_difficulty\n0,hard\n", "row 1 has no number"),
    ],
)
def test_a_file_of_other_difficulties_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_difficulties(written(tmp_path, text, "d.csv"))


GAMED = "preference,std_delta_len,instruction_difficulty,not_gamed_baseline,index,model\n"


def test_gamed_rows_are_read_but_for_those_without_preference(tmp_path: Path) -> None:
    text = GAMED + "0.25,1.5,-1,False,0,a\n,1,1,False,1,a\n1.0,-2,0.5,False,2,b\n"
    found = read_gamed(written(tmp_path, text, "g.csv"))
    assert found.scores.tolist() == [0.25, 1.0]
    assert found.leads.tolist() == [1.5, -2.0]
    assert found.difficulties.tolist() == [-1.0, 0.5]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0.5,1,1,True,0,a\n", "not of the gamed reference"),
        ("1.5,1,1,False,0,a\n", "row 1 has"),
        ("0.5,,1,False,0,a\n", "row 1 has"),
    ],
)
def test_rows_that_are_not_gamed_are_refused(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_gamed(written(tmp_path, GAMED + row, "g.csv"))
