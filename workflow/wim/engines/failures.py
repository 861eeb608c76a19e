"""Rows without an answer: their causes in words, and what becomes of a job that has some."""

import logging
import re
from collections import Counter
from collections.abc import Sequence

from wim.errors import UserError

logger = logging.getLogger(__name__)


def cause_of(reason: str) -> str:
    """The cause with which a reason begins.

    What differs from row to row follows a colon or a comma, or stands in parentheses.
    """
    return re.split(r": | \(|, ", reason, maxsplit=1)[0]


def in_words(reasons: Sequence[str]) -> str:
    """How many rows failed for each cause, the most frequent first, and the first reason in full."""
    counts = Counter(map(cause_of, reasons))
    listed = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return f"{', '.join(f'{count} {cause}' for cause, count in listed)}; the first: {reasons[0]}"


def check_answers(what: str, rows: int, reasons: Sequence[str]) -> None:
    """Warn of rows that failed.

    Args:
        what: The rows, for messages: "ratings by gpt".
        rows: How many were wanted.
        reasons: Why each of those that failed did.

    Raises:
        UserError: All of them failed.
    """
    if not reasons:
        return
    if len(reasons) >= rows:
        raise UserError(
            f"{what}: all {len(reasons)} rows failed: {in_words(reasons)}. No table is written; "
            "correct the cause, and run again."
        )
    logger.warning(
        "%s: %d of %d rows failed: %s. `wim retry` asks a server for them again.",
        what,
        len(reasons),
        rows,
        in_words(reasons),
    )
