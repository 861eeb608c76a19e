"""Parses a judge's answer: its critique and its number, and why either is unusable."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wim.tables.ratings import HIGHEST, LOWEST, Status

# No sentence ends with the full stop of a list number ("1.") at the start of a line, or of these.
ABBREVIATIONS = ("e.g", "i.e", "eg", "ie", "cf", "vs", "approx", "dr", "mr", "mrs", "ms", "prof")
SENTENCE_END = re.compile(
    r"(?<!^\d)(?<!^\d\d)"
    + "".join(rf"(?<!\b{re.escape(word)})" for word in ABBREVIATIONS)
    + r"[.!?][\"')\]]*(?=\s|$)",
    re.MULTILINE | re.IGNORECASE,
)
SAYS_NOTHING = {"none", "n/a", "na", "nothing", "nil", "no"}
_KIND = "(important|relevant|key|other|further|additional|significant|substantial|essential)"
# What a claim must name to be about everything: "no details" is; "no dates" is about one kind only.
_ALL = rf"({_KIND} )?(information|details?|content|facts,? (steps,? )?(or|and) details)"
_ANSWER = r"((the|this|that|your) )?(answer|response|reply|it)( itself)?"
_IS = r"(is|are|seems?|appears?)( to be)?"
NOTHING_MISSING = re.compile(
    "(?:"
    + "|".join(
        [
            rf"(there is |there's )?nothing( ({_KIND}|else|of substance))?( {_IS})? missing",
            rf"nothing( ({_KIND}|else|of substance))? (is|was|has been) (left out|omitted|lacking)",
            rf"(there (is|are) |there's )?no {_ALL}( {_IS})? (missing|left out|omitted|lacking)",
            rf"(there (is|are) |there's )?no missing {_ALL}",
            rf"{_ANSWER} {_IS} (missing|lacking|omitting) nothing",
            rf"{_ANSWER} (lacks|misses|omits|leaves out) nothing",
            rf"{_ANSWER} leaves nothing out",
            rf"{_ANSWER} (is not|isn't) (missing|lacking|omitting) (anything|any {_ALL})",
            rf"{_ANSWER} (does not|doesn't) (lack|miss|omit|leave out) (anything|any {_ALL})",
            rf"{_ANSWER} (does not|doesn't) leave (anything|any {_ALL}) out",
        ]
    )
    + r")\b"
)
# Words after which something is missing after all, in the sentence or at the start of the next.
EXCEPTION = re.compile(
    r"[^.!?]*\b(except|but|apart from|aside from|other than|besides|however|though|although|yet)\b"
    r"|[^.!?]*[.!?]+[\"')\]]* (however|but|yet|still|that said|nevertheless)\b"
)
MARKS = " .!*_[]()\"'"
REFUSAL = re.compile(
    r"(i'm |i am )?sorry\b|i apologi[sz]e\b|(i am|i'm) (unable|not able)\b|"
    r"i (cannot|can't|can not|won't) (help|assist|provide|rate|"
    r"judge|evaluate|answer|comply|do that)|as an ai\b"
)
ECHO_WORDS = 5
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
    nothing_missing: str,
    others: Sequence[str],
    echo_overlap: float,
) -> tuple[Status, str]:
    """The status of a critique, and the critique up to its last complete sentence.

    Args:
        text: The judge's raw text.
        finished: Whether the judge ended it. A critique cut off by the token limit counts up to
            its last complete sentence, and is truncated if it has none.
        nothing_missing: The phrase by which the judge says that nothing is missing.
        others: Texts that it may not repeat (the instruction, the response).
        echo_overlap: A critique that shares this part (0..1) of its five-word sequences with one
            of the others is an echo.
    """
    critique = text.strip()
    words = plain(critique)
    if says_nothing_is_missing(words, nothing_missing):
        return Status.NOTHING_MISSING, critique
    if REFUSAL.match(words):
        return Status.REFUSED, critique
    if not finished:
        ends = [match.end() for match in SENTENCE_END.finditer(critique)]
        if not ends:
            return Status.TRUNCATED, critique
        critique = critique[: ends[-1]]
    if not any(character.isalpha() for character in critique):
        return Status.UNPARSABLE, critique
    if max((overlap(critique, other) for other in others), default=0.0) >= echo_overlap:
        return Status.ECHO, critique
    return Status.OK, critique


def says_nothing_is_missing(words: str, phrase: str) -> bool:
    """Whether a critique, normalised by `plain`, begins by saying that nothing is missing.

    Quotes and emphasis around it are ignored. "Nothing is missing but the date" does not say so,
    and neither does "No dates are missing", which is about one kind only.
    """
    bare, phrase = words.strip(MARKS), plain(phrase).strip(MARKS)
    opens = NOTHING_MISSING.match(bare)
    if opens is None and phrase:
        opens = re.compile(rf"{re.escape(phrase)}(?!\w)").match(bare)
    if opens:
        return EXCEPTION.match(bare, opens.end()) is None
    return bare in SAYS_NOTHING


def plain(text: str) -> str:
    """Text normalised for comparison: NFKC, lower case, straight quotes, single spaces."""
    folded = (
        unicodedata.normalize("NFKC", text)
        .casefold()
        .replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    return " ".join(folded.split())


def overlap(text: str, other: str) -> float:
    """The share (0..1) of the text's five-word sequences that also occur in the other text.

    A shorter text has no such sequences: its overlap is 1 if both have the same words, else 0.
    """
    words, others = _words(text), _words(other)
    if len(words) < ECHO_WORDS:
        return float(bool(words) and words == others)
    known = set(_sequences(others))
    sequences = _sequences(words)
    return sum(sequence in known for sequence in sequences) / len(sequences)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", plain(text))


def _sequences(words: list[str]) -> list[tuple[str, ...]]:
    return [
        tuple(words[start : start + ECHO_WORDS]) for start in range(len(words) - ECHO_WORDS + 1)
    ]


def read_judgement(
    text: str,
    finished: bool,
    decimals: bool,
    nothing_missing: str,
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
        nothing_missing: As in `read_critique`.
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
        refused = not critiques and not numbers and REFUSAL.match(plain(text))
        return Reading(Status.REFUSED if refused else Status.UNPARSABLE)
    number, critique = read_number(numbers[-1], decimals), critiques[-1]
    if number is None:
        return Reading(Status.UNPARSABLE)
    if not critique:
        return Reading(Status.NOTHING_MISSING, number, critique)
    if plain(critique) in set(map(plain, examples)):
        return Reading(Status.ECHO)
    status, _ = read_critique(critique, True, nothing_missing, others, echo_overlap)
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
