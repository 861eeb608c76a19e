"""Reading a judge's own words: is the critique usable, and if not, why."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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
# What the words must name to speak of everything: "no details", but "no dates" is a partial claim.
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
# Words after which something is missing all the same, in the sentence or at the next one's start.
EXCEPTION = re.compile(
    r"[^.!?]*\b(except|but|apart from|aside from|other than|besides|however|though|although|yet)\b"
    r"|[^.!?]*[.!?]+[\"')\]]* (however|but|yet|still|that said|nevertheless)\b"
)
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


@dataclass(frozen=True)
class Reading:
    """What was read from a judge's words; number and critique are None unless it is usable."""

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

    Quotes and emphasis around it do not count. "Nothing is missing but the date" does not say so,
    nor does "No dates are missing", which speaks of one kind only.
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
