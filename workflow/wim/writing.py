"""The script that a text is written in, by Unicode's property of its letters."""

from collections import Counter
from functools import cache

# Written together in Japanese texts, and counted as one: a text with kana is Japanese.
_JAPANESE = ("Hiragana", "Katakana", "Han")


def script_of(text: str) -> str | None:
    """The script of most of a text's letters: "Latin", "Han", "Japanese"; None without letters.

    Of scripts with equally many letters, the first by name.
    """
    letters: Counter[str] = Counter()
    for character, count in Counter(text).items():
        script = _script(character) if character.isalpha() else None
        if script:
            letters[script] += count
    if letters["Hiragana"] or letters["Katakana"]:
        letters["Japanese"] = sum(letters.pop(script, 0) for script in _JAPANESE)
    return min(letters, key=lambda script: (-letters[script], script)) if letters.total() else None


@cache
def _script(character: str) -> str | None:
    """A letter's script; None for one that several scripts share."""
    from fontTools import unicodedata

    code = unicodedata.script(character)
    return None if code in ("Zyyy", "Zinh", "Zzzz") else unicodedata.script_name(code)
