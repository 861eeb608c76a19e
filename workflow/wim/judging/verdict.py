"""Reading a judge's own words: is the critique usable, and if not, why."""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

# The full stop of a list number ("1.") at the start of a line ends no sentence.
SENTENCE_END = re.compile(r"(?<!^\d)(?<!^\d\d)[.!?][\"')\]]*(?=\s|$)", re.MULTILINE)
SAYS_NOTHING = {"none", "n/a", "na", "nothing", "nil", "no"}
NOTHING_MISSING = re.compile(
    r"(there is |there's )?(nothing|no (important |relevant |key |other )?information)"
    r"( (important|else|relevant|of substance|substantial|significant))? (is |seems |appears )?"
    r"(to be )?missing\b"
)
EXCEPTION = re.compile(r"[^.!?\n]*\b(except|but|apart from|aside from|other than|besides)\b")
MARKS = " .!*_[]()\"'"
REFUSAL = re.compile(
    r"(i'm |i am )?sorry\b|i apologi[sz]e\b|(i am|i'm) (unable|not able)\b|i (cannot|can't|can not|won't) (help|assist|provide|rate|"
    r"judge|evaluate|answer|comply|do that)|as an ai\b"
)
ECHO_WORDS = 5


class Status(StrEnum):
    """What became of a judgement. Only OK and NOTHING_MISSING carry a reward."""

    OK = "ok"
    NOTHING_MISSING = "nothing_missing"
    ECHO = "echo"
    TRUNCATED = "truncated"
    UNPARSABLE = "unparsable"
    REFUSED = "refused"
    ERROR = "error"

    @property
    def usable(self) -> bool:
        """Whether a reward may be made of it."""
        return self in (Status.OK, Status.NOTHING_MISSING)


def read_critique(
    text: str,
    finished: bool,
    nothing_missing: str,
    others: Sequence[str],
    echo_overlap: float,
) -> tuple[Status, str]:
    """Status of a critique, and the critique as far as it is whole.

    text: the judge's words. finished: whether the judge ended by itself; a critique cut off
    by the token limit counts up to its last whole sentence, and is truncated if it has none.
    others: the texts it may not repeat (the instruction, the response); a critique that shares
    `echo_overlap` of its five-word sequences with one of them is an echo.
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
    """Whether a critique (as `plain` gives it) opens by saying that nothing is missing.

    Quotes and emphasis around it do not count; "nothing is missing but the date" does not say so.
    """
    bare, phrase = words.strip(MARKS), plain(phrase).strip(MARKS)
    opens = NOTHING_MISSING.match(bare)
    if opens is None and phrase:
        opens = re.compile(rf"{re.escape(phrase)}(?!\w)").match(bare)
    if opens:
        return EXCEPTION.match(bare, opens.end()) is None
    return bare in SAYS_NOTHING


def plain(text: str) -> str:
    """Text for comparison: compatibility forms, lower case, straight quotes, single spaces."""
    folded = (
        unicodedata.normalize("NFKC", text)
        .casefold()
        .replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    return " ".join(folded.split())


def overlap(text: str, other: str) -> float:
    """Share of the text's five-word sequences that the other text has, 0..1.

    A text of fewer words has none, and repeats only what it equals.
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
