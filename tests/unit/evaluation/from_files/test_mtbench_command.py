"""`wim mtbench` on files as FastChat makes them, against its figures computed in other words."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wim.cli import main

QUESTIONS = range(81, 101)


def single(seed: int = 0, models: tuple[str, ...] = ("a", "b")) -> list[dict]:
    generator = np.random.default_rng(seed)
    return [
        {
            "question_id": question,
            "model": model,
            "judge": ["gpt-4", "single-v1" if turn == 1 else "single-v1-multi-turn"],
            "user_prompt": "",
            "judgment": "",
            "score": [-1, 3, 5, 7.5, 9, 10][int(generator.integers(6))],
            "turn": turn,
            "tstamp": 0.0,
        }
        for model in models
        for question in QUESTIONS
        for turn in (1, 2)
    ]


def pairs(seed: int = 0) -> list[dict]:
    generator = np.random.default_rng(seed)
    winners = ["model_1", "model_2", "tie", "error"]
    return [
        {
            "question_id": question,
            "model_1": first,
            "model_2": second,
            "g1_winner": winners[int(generator.integers(4))],
            "g2_winner": winners[int(generator.integers(4))],
            "judge": ["gpt-4", "pair-v2"],
            "turn": turn,
        }
        for first, second in (("a", "b"), ("a", "c"), ("c", "b"))
        for question in QUESTIONS
        for turn in (1, 2)
    ]


def lines(path: Path, rows: list) -> str:
    text = "".join(row if isinstance(row, str) else f"{json.dumps(row)}\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return str(path)


def as_json(capsys, *arguments: str) -> dict:
    assert main(["mtbench", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_mean_scores_are_over_all_judged_turns(tmp_path: Path, capsys) -> None:
    rows = single()
    found = as_json(capsys, lines(tmp_path / "gpt-4_single.jsonl", rows))["single"]
    frame = pd.DataFrame(rows)
    frame = frame[frame["score"] != -1]
    means = frame.groupby("model")["score"].mean().sort_values(ascending=False)
    assert [one["model"] for one in found] == list(means.index)
    for one in found:
        own = frame[frame["model"] == one["model"]]
        assert one["mean"]["value"] == pytest.approx(means[one["model"]], abs=1e-9)
        assert one["mean"]["n"] == len(own)
        assert one["failures"] == {"no score found (-1)": 40 - len(own)}
        for turn, mean in own.groupby("turn")["score"].mean().items():
            assert one["by_turn"][str(turn)]["value"] == pytest.approx(mean, abs=1e-9)
        assert one["mean"]["low"] < one["mean"]["value"] < one["mean"]["high"]


def test_pairs_that_disagree_are_ties_and_errors_are_left_out(tmp_path: Path, capsys) -> None:
    rows = pairs()
    found = as_json(capsys, lines(tmp_path / "gpt-4_pair.jsonl", rows))["pairs"]
    counts = {model: {"wins": 0, "losses": 0, "ties": 0, "failed": 0} for model in "abc"}
    for row in rows:
        models, games = (row["model_1"], row["model_2"]), (row["g1_winner"], row["g2_winner"])
        if "error" in games:
            results = ("failed", "failed")
        elif games[0] != games[1] or games[0] == "tie":
            results = ("ties", "ties")
        else:
            results = ("wins", "losses") if games[0] == "model_1" else ("losses", "wins")
        for model, result in zip(models, results, strict=True):
            counts[model][result] += 1
    for one in found:
        own = counts[one["model"]]
        judged = own["wins"] + own["losses"] + own["ties"]
        assert [one[name] for name in ("wins", "losses", "ties")] == list(own.values())[:3]
        assert one["win_rate"] == pytest.approx(own["wins"] / judged)
        assert one["loss_rate"] == pytest.approx(own["losses"] / judged)
        assert one["adjusted"]["value"] == pytest.approx((own["wins"] + own["ties"] / 2) / judged)
        assert sum(one["failures"].values()) == own["failed"]
    assert [one["adjusted"]["value"] for one in found] == sorted(
        (one["adjusted"]["value"] for one in found), reverse=True
    )


def test_with_a_baseline_only_its_pairs_count_and_it_has_no_row(tmp_path: Path, capsys) -> None:
    path = lines(tmp_path / "pair.jsonl", pairs())
    found = as_json(capsys, path, "--baseline", "a")["pairs"]
    assert sorted(one["model"] for one in found) == ["b", "c"]
    assert all(one["adjusted"]["n"] + sum(one["failures"].values()) == 40 for one in found)


def test_models_can_be_chosen(tmp_path: Path, capsys) -> None:
    path = lines(tmp_path / "both.jsonl", single() + pairs())
    found = as_json(capsys, path, "--models", "a", "b")
    assert sorted(one["model"] for one in found["single"]) == ["a", "b"]
    assert all(one["adjusted"]["n"] <= 40 for one in found["pairs"])
    assert main(["mtbench", path, "--models", "unknown"]) == 1
    assert "--models unknown: the files have the models" in capsys.readouterr().err


def test_a_question_file_gives_categories(tmp_path: Path, capsys) -> None:
    questions = [
        {"question_id": n, "category": "math" if n % 2 else "writing", "turns": ["?"]}
        for n in range(81, 99)
    ]
    rows = single()
    found = as_json(
        capsys,
        lines(tmp_path / "single.jsonl", rows),
        lines(tmp_path / "pair.jsonl", pairs()),
        "--questions",
        lines(tmp_path / "question.jsonl", questions),
    )
    scores = [
        row["score"]
        for row in rows
        if row["model"] == "a" and row["question_id"] in range(81, 99, 2) and row["score"] != -1
    ]
    one = next(one for one in found["single"] if one["model"] == "a")
    assert one["by_category"].keys() == {"math", "writing"}
    assert one["by_category"]["math"]["value"] == pytest.approx(np.mean(scores))
    assert found["pairs"][0]["by_category"].keys() == {"math", "writing"}
    # Questions 99 and 100: 2 models with 2 turns, 3 pairs with 2 turns.
    assert found["without_category"] == 2 * 4 + 2 * 6


def test_judges_are_told_apart_and_repeated_judgements_count(tmp_path: Path, capsys) -> None:
    rows = single(models=("a",))
    others = [row | {"judge": ["llama", "single-v1"], "score": 1} for row in rows]
    path = lines(tmp_path / "single.jsonl", [*rows, *rows[:3], *others])
    found = as_json(capsys, path)["single"]
    assert [(one["judge"], one["repeated"]) for one in found] == [("gpt-4", 3), ("llama", 0)]
    assert found[1]["mean"]["value"] == 1


def test_scores_outside_of_the_scale_count_and_are_told(tmp_path: Path, capsys) -> None:
    rows = [row | {"score": score} for row, score in zip(single(), (0, 11, 5), strict=False)]
    path = lines(tmp_path / "single.jsonl", rows)
    (one,) = as_json(capsys, path)["single"]
    assert (one["outside"], one["mean"]["value"]) == (2, pytest.approx(16 / 3))
    assert main(["mtbench", path]) == 0
    assert "a: 2 scores are not from 1 to 10; they count" in capsys.readouterr().out


def test_the_text_has_four_digits_and_names_every_drop(tmp_path: Path, capsys) -> None:
    rows = single()
    path = lines(tmp_path / "gpt-4_single.jsonl", [*rows, '{"question_id": 1'])
    assert main(["mtbench", path]) == 0
    text = capsys.readouterr().out
    mean = np.mean([row["score"] for row in rows if row["model"] == "a" and row["score"] != -1])
    assert f"{mean:.4f} [" in text
    assert "dropped: no score found (-1)" in text
    assert "not read, as they are no judgements: gpt-4_single.jsonl, line 81" in text


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row | {"score": -1} for row in single()], "no score found (-1)"),
        ([row | {"g1_winner": "error"} for row in pairs()], "error in one game"),
        ([{"a": 1}], "no row is a judgement"),
        ([], "an empty file"),
    ],
)
def test_a_file_of_which_nothing_can_be_read_ends_with_status_1(
    tmp_path: Path, capsys, rows, said
) -> None:
    assert main(["mtbench", lines(tmp_path / "judgements.jsonl", rows)]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_repeated_pairs_are_told(tmp_path: Path, capsys) -> None:
    rows = pairs()
    turned = rows[0] | {"model_1": rows[0]["model_2"], "model_2": rows[0]["model_1"]}
    path = lines(tmp_path / "pair.jsonl", [*rows, rows[0], turned])
    found = as_json(capsys, path)["pairs"]
    assert {one["model"]: one["repeated"] for one in found} == {"a": 2, "b": 2, "c": 0}
    assert main(["mtbench", path]) == 0
    assert "b: 2 judgements repeat a question's turn; they count" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "a", "d"], "--models d: the files have the models a, b; write one of"),
        (["--baseline", "a"], "--baseline a: the files have the models in pairs none; write"),
    ],
)
def test_options_without_effect_are_refused(tmp_path: Path, capsys, options, message) -> None:
    path = lines(tmp_path / "single.jsonl", single())
    assert main(["mtbench", path, *options]) == 1
    assert message in capsys.readouterr().err


def test_a_turn_that_is_none_and_a_question_without_an_id_are_no_others(
    tmp_path: Path, capsys
) -> None:
    rows = single(models=("a",))
    path = lines(tmp_path / "single.jsonl", [*rows, rows[0] | {"turn": 1.9}])
    assert as_json(capsys, path)["unreadable"] == ["single.jsonl, line 41"]
    nameless = [row | {"question_id": None} for row in rows]
    (one,) = as_json(capsys, lines(tmp_path / "null_single.jsonl", nameless))["single"]
    assert one["repeated"] == 0
