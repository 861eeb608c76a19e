"""What becomes of a job with rows that no model answers."""

import logging

import pytest

from wim.engines.failures import cause_of, check_answers, in_words
from wim.errors import UserError

REASONS = [
    "status 503: overloaded (request 1a2b), at attempt 6",
    "no connection to http://127.0.0.1:8000/v1 (refused), at attempt 6",
    "status 503: overloaded (request 3c4d), at attempt 6",
]


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (REASONS[0], "status 503"),
        (REASONS[1], "no connection to http://127.0.0.1:8000/v1"),
        ("no answer within 60 s, at attempt 3", "no answer within 60 s"),
        (
            "the server's content filter took the answer",
            "the server's content filter took the answer",
        ),
        ("too few sampled answers named one (1 of 8)", "too few sampled answers named one"),
    ],
)
def test_a_reason_begins_with_its_cause(reason, cause) -> None:
    assert cause_of(reason) == cause


def test_causes_are_counted_and_the_first_reason_is_told() -> None:
    assert in_words(REASONS) == (
        "2 status 503, 1 no connection to http://127.0.0.1:8000/v1; the first: " + REASONS[0]
    )


def test_a_job_in_which_every_row_failed_fails() -> None:
    with pytest.raises(UserError, match=r"ratings by far: all 3 rows failed: 2 status 503, 1 no"):
        check_answers("ratings by far", 3, REASONS)


def test_some_failed_rows_are_a_warning_and_none_are_silent(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        check_answers("ratings by far", 3, [])
        check_answers("ratings by far", 0, [])
        assert caplog.text == ""
        check_answers("ratings by far", 4, REASONS)
    assert "ratings by far: 3 of 4 rows failed: 2 status 503" in caplog.text
    assert "wim retry" in caplog.text
