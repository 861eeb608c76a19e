"""Parses a judge's answer about several aspects: the words under each aspect's heading."""

from collections.abc import Sequence
from dataclasses import dataclass

import regex

from wim.settings.aspects import heading

# What may come before a heading: quotes, points or numbers of a list, and Markdown's emphasis.
_BEFORE = r"^[ \t>]*(?:#{1,6}[ \t]+|[*+•\p{Pd}][ \t]+|\(?\d{1,2}[.)][ \t]+)?[*_`\[]*"
_AFTER = r"[*_`\]]*[ \t]*[:\uff1a][*_`]*[ \t]*"


@dataclass(frozen=True)
class AspectWords:
    """The words under an aspect's heading.

    text: None if the heading is not there, or is there twice, so that it says nothing.
    last: Whether nothing follows, so that these are the words that a cut answer cuts.
    repeated: Whether the heading is there twice.
    """

    text: str | None
    last: bool = False
    repeated: bool = False


def aspect_words(answer: str, aspects: Sequence[str]) -> dict[str, AspectWords]:
    """The words of an answer under each aspect's heading, which begins a line and ends in a colon.

    Case, and whether words are joined by a space, _ or -, tell no headings apart. What stands before
    the first heading belongs to no aspect.
    """
    named = {heading(name): name for name in aspects}
    either = "|".join(
        r"[ _-]+".join(map(regex.escape, each.split()))
        for each in sorted(named, key=len, reverse=True)
    )
    pattern = regex.compile(f"{_BEFORE}({either}){_AFTER}", regex.MULTILINE | regex.IGNORECASE)
    found = list(pattern.finditer(answer))
    ends = [match.start() for match in found[1:]] + [len(answer)] * bool(found)
    words: dict[str, AspectWords] = {name: AspectWords(None) for name in aspects}
    for match, end in zip(found, ends, strict=True):
        name = named[heading(match[1])]
        if words[name].text is not None or words[name].repeated:
            words[name] = AspectWords(None, repeated=True)
        else:
            words[name] = AspectWords(answer[match.end() : end].strip(), last=match is found[-1])
    return words
