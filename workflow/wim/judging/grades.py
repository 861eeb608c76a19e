"""Reads grades and choices of answers to questions (MT-Bench): strictly, or as published.

As published (FastChat, fastchat/llm_judge/common.py): a grade is the first [[number]], else the
first [number], of any size; a choice is A if [[A]] is anywhere, else B, else C for a tie.
"""

import re
from typing import Literal

from wim.judging.parse import DECIMAL, NUMBER, read_number
from wim.judging.phrases.match import KnownPhrases
from wim.tables.ratings import Status

Choice = Literal["A", "B", "C"]
CHOICES: tuple[Choice, ...] = ("A", "B", "C")
CHOICE = re.compile(r"\[\[([ABC])\]\]")
PUBLISHED_GRADES = (re.compile(r"\[\[(\d+\.?\d*)\]\]"), re.compile(r"\[(\d+\.?\d*)\]"))
# What may follow the brackets that end an answer: marks of emphasis, quotes, a full stop.
CLOSING = " \n\t.*_`\"'\N{RIGHT DOUBLE QUOTATION MARK})"


def strict_grade(text: str) -> float | None:
    """The grade that an answer ends with: its only number in double brackets, from 1 to 10."""
    found = [match for match in NUMBER.finditer(text) if DECIMAL.fullmatch(match[1].strip())]
    if len(found) != 1 or text[found[0].end() :].strip(CLOSING):
        return None
    return read_number(found[0][1], decimals=True)


def strict_choice(text: str) -> Choice | None:
    """The choice that an answer ends with and that is its only one; C is a tie."""
    found = list(CHOICE.finditer(text))
    if len(found) != 1 or text[found[0].end() :].strip(CLOSING):
        return None
    return next(choice for choice in CHOICES if choice == found[0][1])


def published_grade(text: str) -> float | None:
    """The grade as published; None where that is -1, the published mark of a failure."""
    for pattern in PUBLISHED_GRADES:
        if found := pattern.search(text):
            return float(found[1])
    return None


def published_choice(text: str) -> Choice | None:
    """The choice as published; None where that is an error."""
    return next((choice for choice in CHOICES if f"[[{choice}]]" in text), None)


def status_of(
    text: str, verdict: float | Choice | None, finished: bool, phrases: KnownPhrases
) -> Status:
    """The status of an answer by what was strictly read from it.

    Args:
        text: The judge's raw text.
        verdict: Its grade or choice; None where there is none.
        finished: Whether the judge ended the text.
        phrases: Those by which a judge refuses.
    """
    if verdict is not None:
        return Status.OK
    if not finished:
        return Status.TRUNCATED
    return Status.REFUSED if "[[" not in text and phrases.refuse(text) else Status.UNPARSABLE
