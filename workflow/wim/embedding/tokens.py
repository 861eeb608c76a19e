"""How an encoder's tokenizer divides texts: into tokens that it knows or not, and into windows."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from wim.errors import UserError


@dataclass(frozen=True)
class Tokens:
    """The tokens of a text, without those that an encoder adds.

    Attributes:
        text: The text.
        spans: Where each token begins and ends in it, in characters.
        words: The number of the word that each is a part of; None where it is of none.
        unknown: Whether each is one that the tokenizer does not know.
    """

    text: str
    spans: Sequence[tuple[int, int]]
    words: Sequence[int | None]
    unknown: Sequence[bool]

    def __len__(self) -> int:
        return len(self.spans)

    def unknown_share(self, limit: int | None = None) -> float:
        """The share (0..1) of the first `limit` tokens that are unknown, punctuation aside.

        It is 1 for a text that is not empty and has no token, as one of control characters.
        """
        unknown = self.unknown[:limit]
        if not unknown:
            return float(bool(self.text.strip()))
        if not any(unknown):
            return 0.0
        counted = [
            one
            for one, span in zip(unknown, self.spans, strict=False)
            if not _is_punctuation(self.text[slice(*span)])
        ]
        return sum(counted) / len(counted) if counted else 1.0

    def windows(self, limit: int) -> list[str]:
        """The text in as few parts of about one length as have at most `limit` tokens each.

        A part ends where a word does, except in a word of more than `limit` tokens.
        """
        bounds, count = [0], len(self)
        while (left := count - bounds[-1]) > limit:
            # Of the windows that are still needed, each has as many tokens.
            end = bounds[-1] + -(-left // -(-left // limit))
            bounds.append(self._start_of_word(end, after=bounds[-1]))
        spans = [
            (self.spans[start][0], self.spans[end - 1][1])
            for start, end in pairwise([*bounds, count])
        ]
        return [self.text[start:end] for start, end in spans]

    def _start_of_word(self, token: int, after: int) -> int:
        """The first token of the word that a token is in; the token itself if `after` is in it."""
        start = token
        while self.words[start] is not None and self.words[start - 1] == self.words[start]:
            start -= 1
            if start <= after:
                return token
        return start


def _is_punctuation(text: str) -> bool:
    return all(unicodedata.category(character)[0] in "PZ" for character in text)


def tokens_of(tokenizer: Any, texts: Sequence[str]) -> list[Tokens]:
    """The tokens of texts by a tokenizer of transformers, or of the library tokenizers.

    Raises:
        UserError: For a tokenizer that does not say where its tokens are.
    """
    if not texts:
        return []
    if hasattr(tokenizer, "encode_batch"):
        found = tokenizer.encode_batch(list(texts), add_special_tokens=False)
        word = getattr(tokenizer.model, "unk_token", None)
        unknown = None if word is None else tokenizer.token_to_id(word)
    elif tokenizer.is_fast:
        options = {"add_special_tokens": False, "truncation": False, "verbose": False}
        found = tokenizer(list(texts), **options).encodings
        unknown = tokenizer.unk_token_id
    else:
        raise UserError(
            f"the encoder's tokenizer ({type(tokenizer).__name__}) has no tokenizer.json, so where "
            "its tokens are in a text is not known; name another model under embeddings.encoder."
        )
    return [
        Tokens(text, one.offsets, one.word_ids, [token == unknown for token in one.ids])
        for text, one in zip(texts, found, strict=True)
    ]
