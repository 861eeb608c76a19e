"""`wim winrate` on files as others make them: published figures, drops by name, what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wim.cli import main
from wim.evaluation.compared import length_controlled

REFERENCE = "gpt4_1106_preview"


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch) -> None:
    monkeypatch.setattr(length_controlled, "RESAMPLES", 20)


def annotations(n: int = 120, seed: int = 0, model: str = "mine", **more: object) -> list[dict]:
    generator = np.random.default_rng(seed)
    choices = [1, 2, 1.5, 0, None, 1.25, 1.9900139974]
    return [
        {
            "instruction": f"Instruction {number}",
            "output_1": "r" * int(generator.integers(50, 900)),
            "generator_1": REFERENCE,
            "output_2": "m" * int(generator.integers(50, 900)),
            "generator_2": model,
            "dataset": "koala",
            "annotator": "weighted_alpaca_eval_gpt4_turbo",
            "preference": choices[int(generator.integers(len(choices)))],
        }
        | more
        for number in range(n)
    ]


def written(path: Path, rows: object) -> str:
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows), encoding="utf-8")
    return str(path)


def as_json(capsys, *arguments: str) -> dict:
    assert main(["winrate", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_figures_are_alpaca_evals(tmp_path: Path, capsys) -> None:
    rows = annotations(300)
    found = as_json(capsys, written(tmp_path / "annotations.json", rows))
    (one,) = found["win_rates"]
    preferences = pd.Series([row["preference"] for row in rows], dtype=float).dropna()
    shares = preferences.replace(0, 1.5) - 1
    wins, losses = (shares > 0.5).sum(), (shares < 0.5).sum()
    draws = len(shares) - wins - losses
    assert one["win_rate"] == pytest.approx(100 * shares.mean(), abs=1e-9)
    assert one["standard_error"] == pytest.approx(100 * shares.sem(), abs=1e-9)
    assert (one["n_wins"], one["n_wins_base"], one["n_draws"]) == (wins, losses, draws)
    assert one["discrete_win_rate"] == pytest.approx(100 * (wins + draws / 2) / len(shares))
    assert (one["n_total"], one["rows"]) == (len(shares), 300)
    assert one["dropped"] == {"no preference": 300 - len(shares)}
    assert one["win_rate_interval"][0] < one["win_rate"] < one["win_rate_interval"][1]
    assert list(one["length_controlled"]) == ["minimal"]
    assert (one["model"], one["reference"]) == ("mine", REFERENCE)
    assert one["judge"] == "weighted_alpaca_eval_gpt4_turbo"


def test_each_data_set_has_its_own_figures(tmp_path: Path, capsys) -> None:
    rows = annotations(40, preference=2) + annotations(60, preference=1, dataset="vicuna | `x`")
    for number, row in enumerate(rows):
        row["instruction"] += f" of {number}"
    path = written(tmp_path / "annotations.json", rows)
    (one,) = as_json(capsys, path)["win_rates"]
    found = {name: (each["win_rate"], each["n_total"]) for name, each in one["by_dataset"].items()}
    assert found == {"koala": (100, 40), "vicuna | `x`": (0, 60)}
    assert main(["winrate", path]) == 0
    assert r"| koala | vicuna \| `x` |" in capsys.readouterr().out


def test_a_reference_against_itself_has_50_and_lc_50(tmp_path: Path, capsys) -> None:
    rows = annotations(model=REFERENCE, preference=1.5)
    (one,) = as_json(capsys, written(tmp_path / "annotations.json", rows))["win_rates"]
    assert one["win_rate"] == 50
    assert one["length_controlled"]["minimal"]["length_controlled_winrate"] == 50
    assert one["length_controlled"]["minimal"]["notes"] == ["the speaker is the reference"]


def test_a_swapped_file_gives_100_minus_both(tmp_path: Path, capsys) -> None:
    rows = annotations(200)
    swapped = [
        row
        | {
            "output_1": row["output_2"],
            "output_2": row["output_1"],
            "generator_1": row["generator_2"],
            "generator_2": row["generator_1"],
            "preference": row["preference"] and 3 - row["preference"],
        }
        for row in rows
    ]
    one, other = (
        as_json(capsys, written(tmp_path / "annotations.json", some))["win_rates"][0]
        for some in (rows, swapped)
    )
    assert one["win_rate"] + other["win_rate"] == pytest.approx(100, abs=1e-9)
    controlled = [
        each["length_controlled"]["minimal"]["length_controlled_winrate"] for each in (one, other)
    ]
    assert sum(controlled) == pytest.approx(100, abs=1e-7)


def test_each_model_reference_and_judge_of_a_file_has_its_figures(tmp_path: Path, capsys) -> None:
    rows = [
        *annotations(40, preference=2, model="best"),
        *annotations(40, preference=1, model="worst"),
        *annotations(40, preference=1, model="best", annotator="other judge"),
    ]
    found = as_json(capsys, written(tmp_path / "annotations.json", rows))["win_rates"]
    assert [(one["model"], one["win_rate"]) for one in found] == [
        ("best", 100),
        ("worst", 0),
        ("best", 0),
    ]
    assert found[2]["judge"] == "other judge"
    # Wilson's, as resamples of wins alone are alike.
    assert found[0]["win_rate_interval"] == pytest.approx([91.24, 100], abs=0.01)


def test_lengths_are_joined_by_instruction_and_drops_are_named(tmp_path: Path, capsys) -> None:
    rows = annotations(60)
    texts = {row["instruction"]: (row["output_1"], row["output_2"]) for row in rows}
    bare = [{key: row[key] for key in row if not key.startswith("output")} for row in rows]
    outputs = [
        {"instruction": instruction, "output": own, "generator": "another name"}
        for instruction, (_, own) in reversed(texts.items())
    ]
    references = [
        {"instruction": instruction, "output": own, "generator": REFERENCE}
        for instruction, (own, _) in texts.items()
    ]
    extra = {"instruction": "Not annotated", "output": "x", "generator": "another name"}
    files = [
        written(tmp_path / "annotations.json", bare),
        "--outputs",
        written(tmp_path / "model_outputs.json", [*outputs[2:], extra]),
        "--reference-outputs",
        written(tmp_path / "reference_outputs.json", references),
    ]
    (one,) = as_json(capsys, *files)["win_rates"]
    # Two outputs are left out, one has no annotation.
    assert one["dropped"]["answer without annotation"] == 1
    assert "2 annotated instructions are not in the outputs" in one["notes"]
    assert "2 of 60 rows lack an answer, and so its length" in one["notes"]

    files[2] = written(tmp_path / "model_outputs.json", outputs)
    (joined,) = as_json(capsys, *files)["win_rates"]
    (whole,) = as_json(capsys, written(tmp_path / "annotations.json", rows))["win_rates"]
    assert joined["length_controlled"] == whole["length_controlled"]
    assert joined["avg_length"] == whole["avg_length"]


def test_without_answers_there_is_no_length_control(tmp_path: Path, capsys) -> None:
    bare = [{"instruction": "a", "preference": 2}, {"instruction": "b", "preference": 1}]
    (one,) = as_json(capsys, written(tmp_path / "annotations.json", bare))["win_rates"]
    assert one["win_rate"] == 50
    assert one["length_controlled"] == {}
    assert "no length-controlled win rate without the answers" in one["notes"]


def test_an_annotated_answer_that_is_not_the_models_is_told(tmp_path: Path, capsys) -> None:
    rows = annotations(10)
    outputs = [{"instruction": "Instruction 3", "output": "other", "generator": "mine"}]
    found = as_json(
        capsys,
        written(tmp_path / "annotations.json", rows),
        "--outputs",
        written(tmp_path / "outputs.json", outputs),
    )
    assert "1 annotated answers differ from those in the outputs" in found["win_rates"][0]["notes"]


def test_another_models_answers_give_no_lengths(tmp_path: Path, capsys) -> None:
    both = [*annotations(10), *annotations(10, seed=1, model="theirs")]
    rows = [{key: row[key] for key in row if key != "output_2"} for row in both]
    outputs = [
        {"instruction": row["instruction"], "output": "x" * 900, "generator": "theirs"}
        for row in rows[:10]
    ]
    arguments = ("--outputs", written(tmp_path / "outputs.json", outputs))
    found = as_json(capsys, written(tmp_path / "annotations.json", rows), *arguments)
    notes = {one["model"]: one["notes"] for one in found["win_rates"]}
    assert any("10 of 10 rows lack an answer" in note for note in notes["mine"])
    assert not any("lack an answer" in note for note in notes["theirs"])
    # The only model of a file may be called otherwise there.
    found = as_json(capsys, written(tmp_path / "annotations.json", rows[:10]), *arguments)
    assert not any("lack an answer" in note for note in found["win_rates"][0]["notes"])


def test_one_judgement_has_no_interval(tmp_path: Path, capsys) -> None:
    (row,) = annotations(1)
    found = as_json(capsys, written(tmp_path / "one.json", [{**row, "preference": 1.7}]))
    (one,) = found["win_rates"]
    assert one["win_rate"] == pytest.approx(70) and one["win_rate_interval"] is None


@pytest.mark.parametrize("content", [b"instruction,\xe9\n", b'"' + b"x" * 200_000])
def test_difficulties_that_are_no_csv_are_refused(content, tmp_path: Path, capsys) -> None:
    (tmp_path / "hard.csv").write_bytes(content)
    given = [written(tmp_path / "a.json", annotations(5)), "--difficulties"]
    for path in (tmp_path / "hard.csv", tmp_path):
        assert main(["winrate", *given, str(path)]) == 1
        assert str(path) in capsys.readouterr().err


def test_repeated_instructions_count_and_are_told(tmp_path: Path, capsys) -> None:
    rows = annotations(30, preference=2) + annotations(30, preference=1)
    (one,) = as_json(capsys, written(tmp_path / "annotations.json", rows))["win_rates"]
    assert (one["n_total"], one["prompts"], one["win_rate"]) == (60, 30, 50)
    assert "30 rows repeat an instruction; they count, and share a prompt" in one["notes"]
    # Each prompt is won once and lost once, so that between prompts nothing varies.
    assert one["win_rate_interval"] == [50, 50]


# Difficulties and gamed rows.


def difficulties(path: Path, n: int) -> str:
    generator = np.random.default_rng(3)
    lines = [f"{number},{generator.normal()}" for number in range(n)]
    return written(path, "\n".join([",instruction_difficulty", *lines]) + "\n")


def test_difficulties_add_noreg_and_gamed_rows_add_v1(tmp_path: Path, capsys) -> None:
    rows = written(tmp_path / "annotations.json", annotations(120))
    hard = difficulties(tmp_path / "d.csv", 120)
    (one,) = as_json(capsys, rows, "--difficulties", hard)["win_rates"]
    assert list(one["length_controlled"]) == ["minimal", "noreg"]
    assert any("joined by place" in note for note in one["notes"])
    generator = np.random.default_rng(0)
    gamed = pd.DataFrame(
        {
            "preference": generator.random(240),
            "std_delta_len": generator.normal(size=240),
            "instruction_difficulty": generator.normal(size=240),
            "not_gamed_baseline": False,
            "index": list(range(120)) * 2,
            "model": "concise",
        }
    )
    gamed.to_csv(tmp_path / "df_gamed.csv", index=False)
    # The gamed rows have difficulties as well.
    more = ["--difficulties", hard, "--gamed", str(tmp_path / "df_gamed.csv")]
    (two,) = as_json(capsys, rows, *more)["win_rates"]
    assert list(two["length_controlled"]) == ["minimal", "noreg", "v1"]
    (three,) = as_json(capsys, rows, *more[2:])["win_rates"]
    assert three["length_controlled"].keys() == two["length_controlled"].keys()
    assert two["length_controlled"]["noreg"] == one["length_controlled"]["noreg"]
    assert two["length_controlled"]["v1"]["weights"].keys() == {"length", "difficulty", "constant"}


def test_an_incomplete_file_is_joined_by_instruction_and_never_by_place(tmp_path, capsys) -> None:
    rows = annotations(120)
    hard = difficulties(tmp_path / "d.csv", 120)
    instructions = written(
        tmp_path / "all.json",
        [{"instruction": row["instruction"], "output": "x"} for row in rows],
    )
    (whole,) = as_json(
        capsys, written(tmp_path / "annotations.json", rows), "--difficulties", hard
    )["win_rates"]
    shuffled = written(tmp_path / "annotations.json", list(reversed(rows)))
    joined = ["--difficulties", hard, "--instructions", instructions]
    (again,) = as_json(capsys, shuffled, *joined)["win_rates"]
    slope = [each["length_controlled"]["noreg"]["weights"]["length"] for each in (whole, again)]
    assert slope[0] == pytest.approx(slope[1], abs=0.1)

    part = written(tmp_path / "annotations.json", rows[20:])
    (unjoined,) = as_json(capsys, part, "--difficulties", hard)["win_rates"]
    assert list(unjoined["length_controlled"]) == ["minimal"]
    assert any("100 rows are not the 120 instructions" in note for note in unjoined["notes"])
    (named,) = as_json(capsys, part, *joined)["win_rates"]
    assert "20 of 120 instructions with a difficulty are not annotated" in named["notes"]
    assert named["length_controlled"]["noreg"]["n_total"] == named["n_total"]


# Text, and what is refused.


def test_the_text_names_judge_variant_n_and_every_drop(tmp_path: Path, capsys) -> None:
    rows = annotations(50, seed=1)
    rows[0]["preference"] = 3
    assert main(["winrate", written(tmp_path / "annotations.json", [*rows, "no row"])]) == 0
    text = capsys.readouterr().out
    for said in (
        "| mine | gpt4_1106_preview | weighted_alpaca_eval_gpt4_turbo |",
        "LC minimal",
        "1 dropped: preference outside 1 to 2",
        "dropped: no preference",
        "Not read, as they are no annotations: row 51.",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            annotations(5, preference=None),
            "no row has a preference from 1 to 2 (5 with no preference)",
        ),
        ([{"a": 1}], "no row has a preference; row 1 has a."),
        ("[]", "no row in it"),
        ("[{", "not JSON"),
    ],
)
def test_a_file_of_which_nothing_can_be_read_ends_with_status_1(
    tmp_path: Path, capsys, content, said
) -> None:
    assert main(["winrate", written(tmp_path / "annotations.json", content)]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_names_out_of_a_file_are_shown_on_one_line_without_control_characters(
    tmp_path: Path, capsys
) -> None:
    name = "a\n| b |\x1b[31m \ud800" + "x" * 99
    rows = annotations(10, model=name, preference=2)
    assert main(["winrate", written(tmp_path / "annotations.json", rows)]) == 0
    text = capsys.readouterr().out
    assert "| a?\\| b \\|?[31m \ufffdxx" in text
    assert "x" * 61 not in text
    shown = as_json(capsys, str(tmp_path / "annotations.json"))["win_rates"][0]["model"]
    assert shown == name.replace("\ud800", "\ufffd")


@pytest.mark.parametrize("content", ["[" * 200_000, '[{"preference": 1' + "0" * 400 + "}]"])
def test_json_that_python_cannot_take_is_refused_without_a_traceback(
    tmp_path, capsys, content
) -> None:
    assert main(["winrate", written(tmp_path / "annotations.json", content)]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_options_that_do_not_fit_are_refused(tmp_path: Path, capsys) -> None:
    rows = written(tmp_path / "annotations.json", annotations(10))
    assert main(["winrate", rows, "--instructions", "all.json"]) == 1
    assert "write --difficulties as well" in capsys.readouterr().err
    assert main(["winrate", str(tmp_path / "none.json")]) == 1
    assert "no such file" in capsys.readouterr().err
    hard = difficulties(tmp_path / "d.csv", 3)
    one = written(tmp_path / "all.json", [{"instruction": "a"}])
    assert main(["winrate", rows, "--difficulties", hard, "--instructions", one]) == 1
    assert "1 instructions and" in capsys.readouterr().err
