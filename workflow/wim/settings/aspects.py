"""The aspects that a judge rates apart from each other, by name, each with its question."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import StringConstraints

# Begins with a letter: in names of tables a number is that of a sample.
AspectName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?$", max_length=64)
]
Question = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
KnownAspect = Literal["helpfulness", "honesty", "instruction_following", "truthfulness"]
# The aspects of UltraFeedback (Cui et al. 2023, arXiv 2310.01377), asked in words of this project.
KNOWN: dict[str, str] = {
    "helpfulness": "Does the answer give what the user needs, in full and in a usable form?",
    "honesty": "Does the answer say how sure it is, and admit what it does not know?",
    "instruction_following": "Does the answer do what was asked, within every limit that was set?",
    "truthfulness": "Is everything that the answer states true, and free of contradictions?",
}


def questions_of(aspects: Sequence[str] | dict[str, str]) -> dict[str, str]:
    """The question of each aspect, in the order of their names, whatever order they were written in."""
    found = aspects if isinstance(aspects, dict) else {name: KNOWN[name] for name in aspects}
    return {name: found[name] for name in sorted(found)}


def heading(name: str) -> str:
    """An aspect's name as it is compared with the headings of a judge's answer."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
