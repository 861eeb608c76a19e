"""The sentences of a text in any language, by Unicode's rules (UAX #29), and those that are whole."""

import regex
from unicode_segmentation_rs import unicode_sentences

from wim.writing import script_of

# No sentence ends with the full stop of one of these or of a small letter, as in "z. B.".
ABBREVIATIONS = ("e.g", "i.e", "eg", "ie", "cf", "vs", "approx", "dr", "mr", "mrs", "ms", "prof")
_END = regex.compile(r"[\p{SB=STerm}\p{SB=ATerm}][\p{SB=Close}\p{SB=Extend}]*\s*$")
_ABBREVIATED = regex.compile(
    rf"\b(?:(?i:{'|'.join(map(regex.escape, ABBREVIATIONS))})|\p{{Ll}})\.\W*$"
)
# "1." or "A.", which opens a list or abbreviates a name.
_LABEL = regex.compile(r"\W*(\d{1,2}|\p{L})\.\s*")
# In "http://a.org/?page=2" nothing ends.
_WITHIN_WORD = regex.compile(r"(?<=[.!?])[\p{Lu}\p{Ll}\p{N}=/&#%_-]")
_OPENING = regex.compile(r"[\p{Ps}\p{Pi}]+$")
# The end of emphasis, and a footnote, belong to the sentence before.
_BELONGING = regex.compile(r"(?:[*_`~]+|\[\d+\])*")
# Thai and Lao end a sentence, and a clause, with a space.
_SPACED = regex.compile(
    r"(?<=[\p{Thai}\p{Lao}])(?<=[\p{L}\p{M}])(?<![ๆฯ])\s+(?=[\p{Thai}\p{Lao}])(?=\p{L})"
)


def sentence_ends(text: str) -> list[int]:
    """Where each sentence of a text ends, with the white space behind it; a line ends one too."""
    ends, place = [], 0
    for sentence in unicode_sentences(text):
        place = text.index(sentence, place) + len(sentence)
        ends.append(place)
    return ends


def whole_part(text: str) -> str:
    """The text up to the end of its last whole sentence; "" if it has none.

    A full stop ends no sentence in "e.g.", after the number of a list, or before a small letter.
    In Thai and Lao, which write none, the space that divides sentences and clauses is the end.
    """
    end = start = 0
    for place in sentence_ends(text):
        sentence = text[start:place]
        if _END.search(sentence) and not (
            _LABEL.fullmatch(sentence)
            or _ABBREVIATED.search(sentence)
            or _WITHIN_WORD.match(text, place)
        ):
            end = start + len(_OPENING.sub("", sentence.rstrip()))
            end = _BELONGING.match(text, end).end()
        start = place
    if script_of(text) in ("Thai", "Lao"):
        end = max([end, *(space.start() for space in _SPACED.finditer(text))])
    return text[:end]
