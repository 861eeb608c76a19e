"""The share of a critique's sentences that name a lack, in any known language.

Of two responses with the same number, that whose critique has a smaller share of such sentences is
the better.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import regex

from wim.critiques import lacks
from wim.judging.phrases.load import normal, pattern_of, shipped
from wim.judging.sentences import sentence_ends

# What a critique quotes is not what it says.
_QUOTED = regex.compile(
    r'"[^"\n]{1,200}"|(?<!\w)\'[^\'\n]{1,200}\'(?!\w)|«[^»\n]{1,200}»|「[^」\n]{1,200}」'
)
_MARKUP = regex.compile(r"(?<!\w)[*_`~#>]+|[*_`~]+(?!\w)")


@dataclass(frozen=True)
class LackWords:
    """A language's patterns: what sounds like a lack and is none, and what names one."""

    none: Any
    lacks: Any


def lack_share(critique: str) -> float:
    """The share (0..1) of a critique's sentences that name a lack; 0 if it has no sentence."""
    found = [names_a_lack(sentence) for sentence in sentences(critique)]
    return sum(found) / len(found) if found else 0.0


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text that have a letter, without markup."""
    plain = _QUOTED.sub('""', normal(text))
    for start, end in pairwise([0, *sentence_ends(plain)]):
        sentence = " ".join(_MARKUP.sub("", plain[start:end]).split())
        if any(map(str.isalpha, sentence)):
            yield sentence


def names_a_lack(sentence: str) -> bool:
    """Whether a sentence names a lack in any known language."""
    return any(
        words.lacks.search(words.none.sub(" ", sentence)) is not None for words in lack_words()
    )


@cache
def lack_words() -> tuple[LackWords, ...]:
    """The patterns of each language: of its file here, else those of judges' phrases."""
    import yaml

    files = sorted(Path(lacks.__file__).parent.glob("*.yaml"))
    own = {path.stem: _compiled(yaml.safe_load(path.read_text("utf-8"))) for path in files}
    nowhere = pattern_of([], spaced=False, whole=False)
    others = {name: LackWords(nowhere, phrases.lacks) for name, phrases in shipped().items()}
    return tuple((others | own).values())


def _compiled(content: Mapping[str, Any]) -> LackWords:
    none, named = (
        pattern_of(
            map(normal, content[key].splitlines()), content["spaced"], whole=content["spaced"]
        )
        for key in ("none", "lacks")
    )
    return LackWords(none, named)
