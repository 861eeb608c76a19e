"""The phrases of a language, read from its file."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import regex

# Alif, ya and ha have forms that writers take for one another; vowel signs are left out.
_ALIF, _YA, _HA = "\u0627", "\u064a", "\u0647"
_ARABIC = str.maketrans(
    dict.fromkeys("\u0622\u0623\u0625\u0671", _ALIF)
    | {"\u0649": _YA, "\u0629": _HA}
    | dict.fromkeys(map(chr, (0x640, *range(0x64B, 0x653))))
)
_QUOTES = str.maketrans("\u2018\u2019`\u201c\u201d\u201e", "'''\"\"\"")
_PART = regex.compile(r"<(\w+)>")
_END_OF_WORD = r"(?!(?<=\w)\w)"


@dataclass(frozen=True)
class Phrases:
    """A language's phrases as patterns; what each is for: `wim.judging.phrases`.

    `claim` is a phrase of `nothing_missing` with any `openers` in front of it.
    """

    alone: Any
    labels: Any
    openers: Any
    claim: Any
    exceptions: Any
    turns: Any
    lacks: Any
    apologies: Any
    joins: Any
    unable: Any
    refusals: Any
    reasons: Any


def normal(text: str) -> str:
    """Text in the form that phrases are matched in, but for its case, markup and spaces."""
    return unicodedata.normalize("NFKC", text).translate(_QUOTES).translate(_ARABIC)


def pattern_of(alternatives: Iterable[str], spaced: bool, whole: bool) -> Any:
    """A pattern of any of these expressions; of none, a pattern that is nowhere.

    Args:
        alternatives: Regular expressions.
        spaced: Whether a match begins where a word begins.
        whole: Whether a match ends where a word ends.
    """
    return regex.compile(_any_of(alternatives, spaced, whole), regex.IGNORECASE)


def _any_of(alternatives: Iterable[str], spaced: bool, whole: bool) -> str:
    either = "|".join(alternatives) or "(?!)"
    begin, end = r"(?<!\w)" if spaced else "", _END_OF_WORD if whole else ""
    return f"{begin}(?:{either}){end}"


@cache
def shipped() -> Mapping[str, Phrases]:
    """The phrases of each language that has a file here, by the language's name."""
    import yaml

    files = sorted(Path(__file__).parent.glob("*.yaml"))
    return {path.stem: _compiled(yaml.safe_load(path.read_text("utf-8"))) for path in files}


def _compiled(content: Mapping[str, Any]) -> Phrases:
    spaced = content["spaced"]

    def lines(key: str) -> list[str]:
        return [_filled(line, content["parts"]) for line in content[key].splitlines()]

    def pattern(key: str, whole: bool = spaced) -> Any:
        return pattern_of(lines(key), spaced, whole)

    openers = _any_of(lines("openers"), spaced, whole=spaced)
    claim = _any_of(lines("nothing_missing"), spaced, whole=True)
    return Phrases(
        alone=pattern("alone", whole=True),
        labels=pattern("labels"),
        openers=pattern_of([openers], spaced=False, whole=False),
        claim=pattern_of([rf"(?:{openers}[\s,:]*)*{claim}"], spaced=False, whole=False),
        exceptions=pattern("exceptions"),
        turns=pattern("turns"),
        lacks=pattern("lacks"),
        apologies=pattern("apologies"),
        joins=pattern("joins"),
        unable=pattern("unable"),
        refusals=pattern("refusals"),
        reasons=pattern_of(lines("reasons"), spaced=False, whole=False),
    )


def _filled(pattern: str, parts: Mapping[str, str]) -> str:
    """An expression with its parts in place of their names; parts may have parts themselves."""
    while _PART.search(pattern):
        pattern = _PART.sub(lambda name: f"(?:{parts[name[1]]})", pattern)
    return normal(pattern)
