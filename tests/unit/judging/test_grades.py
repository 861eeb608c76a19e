"""Grades and choices are read strictly, or as published, and nothing else is a number."""

import pytest

from wim.judging.grades import (
    published_choice,
    published_grade,
    status_of,
    strict_choice,
    strict_grade,
)
from wim.judging.phrases.match import KnownPhrases

PHRASES = KnownPhrases("Nothing is missing")


@pytest.mark.parametrize(
    ("text", "strict", "published"),
    [
        ("It is right. Rating: [[7]]", 7, 7),
        ("It is right.\n\n**Rating: [[7.5]]**\n", 7.5, 7.5),
        ('Well done. "[[10]]".', 10, 10),
        # Where a number stands that is no grade.
        ("Rating: [[7]], as it is short.", None, 7),
        ("First [[3]], on reflection [[8]]", None, 3),
        ("Rating: [7]", None, 7),
        ("The list [0, 1][1] is wrong. Rating: 4", None, 1),
        ("Rating: [[100]]", None, 100),
        ("Rating: [[0]]", None, 0),
        ("Rating: [[-1]]", None, None),
        ("Rating: [[7/10]]", None, None),
        ("Rating: [[[7]]]", None, 7),
        ("Rating: 7", None, None),
        ("", None, None),
        # Brackets without a number are words.
        ("See [[Paris]] for more. Rating: [[6]]", 6, 6),
    ],
)
def test_a_grade_is_the_only_number_at_the_end_or_the_first_as_published(
    text, strict, published
) -> None:
    assert strict_grade(text) == strict
    assert published_grade(text) == published


@pytest.mark.parametrize(
    ("text", "strict", "published"),
    [
        ("A is deeper: [[A]]", "A", "A"),
        ("B is deeper: **[[B]]**.", "B", "B"),
        ("Both are good. [[C]]", "C", "C"),
        ("[[B]] is better than [[A]]", None, "A"),
        ("[[B]], since A is wrong.", None, "B"),
        ("[[C]] would be weak, so [[B]]", None, "B"),
        ("Assistant A", None, None),
    ],
)
def test_a_choice_is_the_only_one_at_the_end_or_a_before_b_as_published(
    text, strict, published
) -> None:
    assert strict_choice(text) == strict
    assert published_choice(text) == published


@pytest.mark.parametrize(
    ("text", "verdict", "finished", "status"),
    [
        ("[[7]]", 7.0, True, "ok"),
        # Cut right after the verdict: it is whole.
        ("[[7]]", 7.0, False, "ok"),
        ("The answer is", None, False, "truncated"),
        ("I cannot help with that.", None, True, "refused"),
        ("I cannot help with that, so [[none]].", None, True, "unparsable"),
        ("A fine answer.", None, True, "unparsable"),
    ],
)
def test_the_status_says_why_there_is_no_verdict(text, verdict, finished, status) -> None:
    assert status_of(text, verdict, finished, PHRASES) == status
