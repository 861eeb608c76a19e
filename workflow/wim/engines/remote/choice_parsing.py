"""Which of a few short answers a server's model prefers, parsed from its answers.

Over a chat API an answer cannot be forced to begin with a given text. So the model is instructed to
give one of the choices only, which is looked for where its answer names one: at the very beginning,
or after the opening.
"""

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress

from wim.engines.remote.chat import AnswerToken
from wim.engines.transport.api_errors import NoAnswer

# What may surround a choice: quotes, emphasis, brackets, and the marks of spaces in tokens.
AROUND = " \t\r\n\"'`*_([<>:#\u0120\u2581"
# A share of the choices' probability that is too small to matter.
NEGLIGIBLE = 0.01


def instruction(choices: Sequence[str]) -> str:
    """The instruction that is added to the question."""
    return f"Answer with exactly one of these and nothing else: {', '.join(choices)}."


def answer_schema(choices: Sequence[str]) -> dict[str, object]:
    """The response_format that restricts an answer to the choices."""
    answer = {"type": "string", "enum": list(choices)}
    schema = {
        "type": "object",
        "properties": {"answer": answer},
        "required": ["answer"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }


def read_sample(text: str, choices: Sequence[str], opening: str) -> str | None:
    """The choice that a sampled answer names; None if it names none clearly."""
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            text = str(found.get("answer", ""))
    # Full-width figures, as of Chinese and Japanese texts, are figures.
    text = unicodedata.normalize("NFKC", text)
    longest_first = sorted(choices, key=len, reverse=True)
    around, named = f"[{re.escape(AROUND)}]*", "|".join(map(re.escape, longest_first))
    begun = f"(?i:{re.escape(opening.strip(AROUND))})"
    # Several choices name none: "1, 2, 3", "7 or 8", "7-8"; "7/10" is of ten.
    beside = rf"\s*(?:(?:[,&~-]|[\u2012-\u2015]|and|or|to|/(?!\s*10\b))\s*)+(?:{named})\b"
    match = re.match(rf"{around}(?:{begun}{around})?({named})(?!\w|[.,]\d|{beside})", text)
    return match[1] if match else None


def sample_logprobs(
    texts: Sequence[str], choices: Sequence[str], opening: str, needed: int
) -> tuple[float, ...]:
    """The log (nats) of each choice's frequency among the sampled answers that name one.

    Raises NoAnswer if fewer than `needed` do.
    """
    named = [name for text in texts if (name := read_sample(text, choices, opening))]
    if len(named) < needed:
        count = sum(not text for text in texts)
        empty = f", {count} of them empty" if count else ""
        raise NoAnswer(
            "too few sampled answers named one of the choices "
            f"({len(named)} of {len(texts)}{empty})"
        )
    shares = [named.count(choice) / len(named) for choice in choices]
    return tuple(math.log(share) if share else -math.inf for share in shares)


def token_logprobs(
    tokens: Sequence[AnswerToken], choices: Sequence[str], opening: str
) -> tuple[float, ...] | None:
    """Log-probabilities (nats) of the choices where the answer names one.

    Choices that are not among the likely tokens there count as impossible. None if the answer
    names no choice, or if its tokens cannot tell a choice from a longer one that begins with it
    ("1" from "10") and more than 1 % of the probability depends on that.
    """
    place = _place(tokens, choices, opening)
    if place is None or len(tokens[place].top_logprobs or []) < 2:
        return None
    mass = dict.fromkeys(choices, 0.0)
    for text, probability in _alternatives(tokens[place]).items():
        if text.strip(AROUND) in mass:
            mass[text.strip(AROUND)] += probability
    total = sum(mass.values())
    for choice in choices:
        longer = [other for other in choices if other != choice and other.startswith(choice)]
        if not longer or not mass[choice] or any(mass[other] for other in longer):
            continue
        if tokens[place].token.strip(AROUND) == choice and place + 1 < len(tokens):
            following = _alternatives(tokens[place + 1])
            begun = mass[choice]
            for other in longer:
                mass[other] = begun * following.get(other.removeprefix(choice), 0.0)
                mass[choice] -= mass[other]
        elif mass[choice] > NEGLIGIBLE * total:
            return None
    if not any(mass.values()):
        return None
    return tuple(math.log(share) if share > 0 else -math.inf for share in mass.values())


def _place(tokens: Sequence[AnswerToken], choices: Sequence[str], opening: str) -> int | None:
    """The index of the token with which the answer names a choice, or begins to."""
    before, expected = "", opening.strip(AROUND).casefold()
    for place, token in enumerate(tokens):
        begun = before.strip(AROUND).casefold()
        text = token.token.strip(AROUND)
        names = text and any(choice.startswith(text) for choice in choices)
        if names and begun in ("", expected):
            return place
        before += token.token
        if not expected.startswith(before.strip(AROUND).casefold()):
            return None
    return None


def _alternatives(token: AnswerToken) -> dict[str, float]:
    """Probabilities of the likely tokens at a position, by their texts."""
    likely = {each.token: math.exp(each.logprob) for each in token.top_logprobs or []}
    return {token.token: math.exp(token.logprob), **likely}
