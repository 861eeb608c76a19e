"""Markdown tables show what is there, and what is not defined as such."""

from wim.display.markdown import (
    estimate_with_interval,
    markdown_table,
    percent,
    share_with_interval,
    shown,
)
from wim.statistics import Estimate, Share


def test_texts_are_aligned_left_and_numbers_right() -> None:
    table = markdown_table([{"name": "a", "of": "b", "n": "1"}], left=2)
    assert table == "| name | of | n |\n|---|---|---:|\n| a | b | 1 |"
    assert markdown_table([{"name": "a", "n": "1"}], left=None).splitlines()[1] == "|---|---|"


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert markdown_table([{"|d|": "a|b"}]).splitlines()[::2] == [r"| \|d\| |", r"| a\|b |"]


def test_a_table_without_rows_says_so() -> None:
    assert markdown_table([]) == "None."


def test_what_is_not_defined_is_a_dash_and_no_zero() -> None:
    dash = "\N{EN DASH}"
    assert (shown(None, ".2f"), percent(None, 1)) == (dash, dash)
    assert share_with_interval(Share.of(0, 0)) == f"{dash} (n = 0)"
    assert estimate_with_interval(Estimate(None, None, None, 0)) == dash


def test_figures_have_their_intervals() -> None:
    assert share_with_interval(Share(1, 4, 0.25, 0.1, 0.5)) == "25.00 % [10.00, 50.00] (n = 4)"
    assert estimate_with_interval(Estimate(0.5, 0.25, 0.75, 9)) == "0.50 [0.25, 0.75]"
    assert estimate_with_interval(Estimate(0.5, None, None, 1)) == "0.50"
