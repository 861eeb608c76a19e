"""Parses a judge's answer: its critique and its number, and why either is unusable."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wim.judging.overlap import overlap, plain
from wim.judging.phrases.match import KnownPhrases
from wim.judging.sentences import whole_part
from wim.tables.ratings import HIGHEST, LOWEST, Status

# A critique is in three or more brackets and contains no such opening; a number is in exactly two.
CRITIQUE = re.compile(r"\[{3,}((?:(?!\[{3}).)*?)\]{3,}", re.DOTALL)
NUMBER = re.compile(r"(?<!\[)\[\[([^\[\]]*)\]\](?!\])")
WHOLE = re.compile(r"\d+", re.ASCII)
DECIMAL = re.compile(r"\d+(\.\d+)?", re.ASCII)


@dataclass(frozen=True)
class Reading:
    """What was parsed from a judge's answer; number and critique are None unless it is usable."""

    status: Status
    number: float | None = None
    wim: str | None = None


def read_critique(
    text: str,
    finished: bool,
    phrases: KnownPhrases,
    others: Sequence[str],
    echo_overlap: float,
) -> tuple[Status, str]:
    """The status of a critique, and the critique up to its last complete sentence.

    Args:
        text: The judge's raw text.
        finished: Whether the judge ended it. A critique cut off by the token limit counts up to
            its last complete sentence, and is truncated if it has none.
        phrases: Those by which a judge says that nothing is missing, or refuses.
        others: Texts that it may not repeat (the instruction, the response).
        echo_overlap: A critique that shares this part (0..1) of its five-word sequences with one
            of the others is an echo.
    """
    critique = text.strip()
    if phrases.say_nothing_is_missing(critique):
        return Status.NOTHING_MISSING, critique
    if phrases.refuse(critique):
        return Status.REFUSED, critique
    if not finished:
        whole = whole_part(critique)
        if not whole:
            return Status.TRUNCATED, critique
        critique = whole
    if not any(character.isalpha() for character in critique):
        return Status.UNPARSABLE, critique
    if max((overlap(critique, other) for other in others), default=0.0) >= echo_overlap:
        return Status.ECHO, critique
    return Status.OK, critique


def read_judgement(
    text: str,
    finished: bool,
    decimals: bool,
    phrases: KnownPhrases,
    examples: Iterable[str],
    others: Sequence[str],
    echo_overlap: float,
) -> Reading:
    """The number and the critique of an answer in the single-call format, or why there are none.

    The last [[ ]] outside all critiques must contain one number from 1 to 10 and nothing else. The
    last [[[ ]]] is the critique, which may have several lines; an empty one says that nothing is
    missing.

    Args:
        text: The judge's raw text.
        finished: Whether the judge ended it.
        decimals: Whether the number may have decimals.
        phrases: As in `read_critique`.
        examples: Critiques in the template itself, whose repetition is an echo.
        others: As in `read_critique`.
        echo_overlap: As in `read_critique`.
    """
    critiques = [match.strip() for match in CRITIQUE.findall(text)]
    outside = CRITIQUE.sub("\n", text)
    numbers = NUMBER.findall(outside)
    # What follows brackets that are never closed cannot be told from a critique.
    if not critiques or not numbers or "[[[" in outside:
        if not finished:
            return Reading(Status.TRUNCATED)
        refused = not critiques and not numbers and phrases.refuse(text)
        return Reading(Status.REFUSED if refused else Status.UNPARSABLE)
    number, critique = read_number(numbers[-1], decimals), critiques[-1]
    if number is None:
        return Reading(Status.UNPARSABLE)
    if not critique:
        return Reading(Status.NOTHING_MISSING, number, critique)
    if plain(critique) in set(map(plain, examples)):
        return Reading(Status.ECHO)
    status, _ = read_critique(critique, True, phrases, others, echo_overlap)
    return Reading(status, number, critique) if status.usable else Reading(status)


def read_number(text: str, decimals: bool) -> float | None:
    """The number from 1 to 10 that is the whole text; decimals only where allowed."""
    text = text.strip()
    if not (DECIMAL if decimals else WHOLE).fullmatch(text):
        return None
    number = float(text)
    return number if LOWEST <= number <= HIGHEST else None


def placeholders(template: str) -> list[str]:
    """The example critiques in a template, which show the format; empty ones are left out."""
    return [found for match in CRITIQUE.findall(template) if (found := match.strip())]
