"""Style of answers: their length and Markdown, as covariates of a Bradley-Terry fit.

The features of Arena-Hard (Li et al. 2024, arXiv 2406.11939): of the lengths the difference over
the sum; of the headers, list items and bold passages, counted per unit of length, the difference
over the sum and 1.
"""

import re
from dataclasses import dataclass

FEATURES = ("length", "headers", "lists", "bold")
CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
HEADER = re.compile(r"^ {0,3}#{1,6}\s", re.MULTILINE)
ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d+\.)[ \t]", re.MULTILINE)
BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")


@dataclass(frozen=True)
class Style:
    """An answer's length, in tokens or characters, and its Markdown elements outside of code."""

    length: int
    headers: int
    lists: int
    bold: int


def style_of(answer: str, length: int) -> Style:
    """The style of an answer of a length in tokens, or in characters: one unit for all answers."""
    text = CODE.sub("", answer)
    return Style(
        length=length,
        headers=len(HEADER.findall(text)),
        lists=len(ITEM.findall(text)),
        bold=len(BOLD.findall(text)),
    )


def style_features(one: Style, other: Style) -> tuple[float, ...]:
    """The features of one answer against another, in the order of FEATURES; 0 of equal styles."""
    total = one.length + other.length
    found = [(one.length - other.length) / total if total else 0.0]
    for name in FEATURES[1:]:
        a, b = (getattr(each, name) / (each.length + 1) for each in (one, other))
        found.append((a - b) / (a + b + 1))
    return tuple(found)
