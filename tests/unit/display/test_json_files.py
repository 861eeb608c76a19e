"""JSON as the project writes it."""

import json
import math
from pathlib import Path

import pytest

from wim.display.json_files import rounded, write_json, write_json_lines


def test_equal_values_give_equal_bytes_whatever_the_order_of_their_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a/one.json", {"b": 1, "a": {"d": 0.5, "c": None}})
    write_json(tmp_path / "a/two.json", {"a": {"c": None, "d": 0.5}, "b": 1})
    one, two = (tmp_path / "a" / name for name in ("one.json", "two.json"))
    assert one.read_bytes() == two.read_bytes()
    assert one.read_text().startswith('{\n  "a": {') and one.read_text().endswith("}\n")


def test_a_value_that_json_does_not_have_is_refused_and_the_old_file_kept(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, [1])
    with pytest.raises(ValueError):
        write_json(path, [math.nan])
    assert json.loads(path.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_floats_are_rounded_to_six_digits_at_any_depth() -> None:
    assert rounded({"a": (1.23456789, 2), "b": [{"c": 1e-9 / 3}]}) == {
        "a": [1.23457, 2],
        "b": [{"c": 3.33333e-10}],
    }


def test_json_lines_are_one_object_a_line(tmp_path: Path) -> None:
    rows = [{"step": 1, "note": "a\nb"}, {"step": 2, "loss": None}]
    write_json_lines(tmp_path / "metrics.jsonl", rows)
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == rows
    assert lines[-1] == ""
