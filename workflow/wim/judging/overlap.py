"""How much of a text also occurs in another one, by its words."""

import unicodedata

import regex

ECHO_WORDS = 5
# Of scripts that put no spaces between words, each letter counts as a word.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_WORD = regex.compile(rf"{_UNSPACED}\p{{M}}*|(?:(?!{_UNSPACED})\w)+")


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
    words: list[str] = _WORD.findall(plain(text))
    return words


def _sequences(words: list[str]) -> list[tuple[str, ...]]:
    return [
        tuple(words[start : start + ECHO_WORDS]) for start in range(len(words) - ECHO_WORDS + 1)
    ]
