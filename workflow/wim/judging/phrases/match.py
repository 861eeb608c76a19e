"""Whether a judge's answer says that nothing is missing, or refuses, in any known language."""

from collections.abc import Sequence
from typing import Any

import regex

from wim.judging.phrases.load import Phrases, normal, pattern_of, shipped
from wim.judging.sentences import sentence_ends
from wim.settings.judging import PhraseSettings

_EDGES = regex.compile(r"^\W+|\W+$")
# What opens a line of Markdown: a quote, a heading, a point or number of a list.
_MARKER = regex.compile(r"[\s>]*(#{1,6}\s|[*+\p{Pd}•·‣◦]\s|\(?\d{1,2}[.)]\s)?\s*")
_EMPHASIS = regex.compile(r"(?<!\w)[*_`~]+|[*_`~]+(?!\w)")
_HEADING = regex.compile(r"\s*(#{1,6}\s.*|([*_]{1,3})(?=\S).*\2:?\s*)")
_COLON = regex.compile(r"\s*[:?]+\s*|\s+\p{Pd}+\s+")
_CLAUSES = regex.compile(r"[;:()]|\s\p{Pd}+\s")
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
)


class KnownPhrases:
    """The shipped phrases of all languages, and those of a judge's settings."""

    def __init__(self, nothing_missing: str, own: PhraseSettings | None = None) -> None:
        """Take the text by which the judge is told to say that nothing is missing, and others."""
        own = own or PhraseSettings()
        self._exceptions = _literal(own.exceptions, whole=False)
        self._languages = [
            *shipped().values(),
            _in_any_language([nothing_missing, *own.nothing_missing], own.refusals),
        ]

    def say_nothing_is_missing(self, text: str) -> bool:
        """Whether a critique opens by saying so, and takes nothing of it back.

        "Nothing is missing but the date" takes it back, and so does "Nothing is missing. However,
        ..."; "No dates are missing" is about one kind of thing only.
        """
        lines = _lines(text)
        return any(self._nothing(lines, language) for language in self._languages)

    def refuse(self, text: str) -> bool:
        """Whether an answer opens by refusing; an apology alone refuses, one for a lack does not."""
        whole = _EDGES.sub("", " ".join(_lines(text)))
        return any(_refuses(whole, language) for language in self._languages)

    def _nothing(self, lines: Sequence[str], language: Phrases) -> bool:
        return self._text_says_nothing("\n".join(_without_label(lines, language)), language)

    def _text_says_nothing(self, text: str, language: Phrases) -> bool:
        whole = _EDGES.sub("", text)
        while not language.alone.fullmatch(whole):
            word = language.alone.match(whole)
            if word is None or not regex.match(r"\s*[\n\p{P}]", whole[word.end() :]):
                break
            whole = _EDGES.sub("", whole[word.end() :])
        else:
            return True
        ends = sentence_ends(whole)
        claim = _claim(whole, language)
        if claim is None:
            return False
        first, *later = [end for end in ends if end >= claim] or [len(whole)]
        rest = whole[claim:first]
        if self._excepts(rest, language) or _any_lacks(rest, language):
            return False
        starts = [first, *later]
        following = [
            _EDGES.sub("", whole[start:end]) for start, end in zip(starts, later, strict=False)
        ]
        if following and language.turns.match(following[0]):
            return False
        return not any(self._names_a_lack(sentence, language) for sentence in following)

    def _names_a_lack(self, sentence: str, language: Phrases) -> bool:
        claim = _claim(sentence, language)
        if claim is not None:
            return self._excepts(sentence[claim:], language)
        return language.lacks.search(sentence) is not None

    def _excepts(self, text: str, language: Phrases) -> bool:
        return any(each.search(text) for each in (language.exceptions, self._exceptions))


def _claim(text: str, language: Phrases) -> int | None:
    """Where the claim ends that nothing is missing, with which a text opens, if it does."""
    claim = language.claim.match(text)
    return claim.end() if claim else None


def _any_lacks(text: str, language: Phrases) -> bool:
    """Whether what follows a claim in its sentence names what is missing."""
    clauses = (_EDGES.sub("", clause) for clause in _CLAUSES.split(text))
    return any(language.lacks.search(clause) for clause in clauses)


def _refuses(text: str, language: Phrases) -> bool:
    text = _behind(text, language.openers)
    apology = language.apologies.match(text) is not None
    if apology:
        text = _behind(text, language.apologies, language.joins, language.openers)
        if not text:
            return True
    patterns = (language.unable, language.refusals) if apology else (language.refusals,)
    if not any(each.match(text) for each in patterns):
        return False
    return language.reasons.search(text, endpos=sentence_ends(text)[0]) is None


def _behind(text: str, *patterns: Any) -> str:
    """What follows any of these patterns, however often they come."""
    found = True
    while found:
        ends = [match.end() for each in patterns if (match := each.match(text))]
        found = any(ends)
        text = _EDGES.sub("", text[max(ends) :]) if found else text
    return text


def _lines(text: str) -> list[str]:
    """Paragraphs, headings and points of lists as one line each, without markup."""
    found: list[str] = []
    new = True
    for line in normal(text).splitlines():
        marker = _MARKER.match(line)
        content = " ".join(_EMPHASIS.sub("", line[marker.end() :]).split())
        if content and (new or marker[1]):
            found.append(content)
        elif content:
            found[-1] += f" {content}"
        new = not content or _HEADING.fullmatch(line) is not None
    return found


def _without_label(lines: Sequence[str], language: Phrases) -> Sequence[str]:
    """The lines behind a heading such as "Missing:"."""
    if not lines:
        return lines
    first = regex.sub(r"^\W+", "", lines[0])
    if len(lines) > 1 and language.labels.fullmatch(_EDGES.sub("", first)):
        return lines[1:]
    colon = _COLON.search(first)
    if colon and language.labels.fullmatch(_EDGES.sub("", first[: colon.start()])):
        return [first[colon.end() :], *lines[1:]]
    return lines


def _in_any_language(nothing_missing: Sequence[str], refusals: Sequence[str]) -> Phrases:
    """Phrases of settings: what takes back their claim may be in any language."""

    def any_of(key: str) -> Any:
        return pattern_of(
            [getattr(each, key).pattern for each in shipped().values()], spaced=False, whole=False
        )

    nowhere = pattern_of([], spaced=False, whole=False)
    return Phrases(
        alone=nowhere,
        labels=any_of("labels"),
        openers=nowhere,
        claim=_literal(nothing_missing),
        exceptions=any_of("exceptions"),
        turns=any_of("turns"),
        lacks=any_of("lacks"),
        apologies=nowhere,
        joins=nowhere,
        unable=nowhere,
        refusals=_literal(refusals),
        reasons=any_of("reasons"),
    )


def _literal(phrases: Sequence[str], whole: bool = True) -> Any:
    """A pattern of texts: of whole words, or if not `whole`, where their script divides words."""
    texts = [" ".join(_EDGES.sub("", normal(phrase)).split()) for phrase in phrases]
    return pattern_of([_bounded(text, whole) for text in texts if text], spaced=False, whole=False)


def _bounded(text: str, whole: bool) -> str:
    begin = "" if _UNSPACED.match(text) else r"(?<!\w)"
    end = "" if _UNSPACED.match(text[-1]) and not whole else r"(?!\w)"
    return f"{begin}{regex.escape(text, literal_spaces=True)}{end}"
