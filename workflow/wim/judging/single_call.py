"""The single-call judge: explanation, [[number]] and [[[critique]]] in one answer.

The format is the published one (Stranges and Yang 2026, arXiv 2603.04429), the reading is strict:
what cannot be read is asked for again a few times, and then it is a failure, never a number.
"""

import math
import re
from collections.abc import Iterable, Sequence

from wim.engines.base import Completion, Request
from wim.judging.base import Judge, failed_to_answer, without_words
from wim.judging.parse import REFUSAL, Reading, Status, plain, read_critique
from wim.judging.retry import Asked, ask_until_usable
from wim.provenance.digest import seed_of
from wim.tables.schemas import Candidate, Rating

# Three brackets or more around a text that opens none itself; and two, no more, around another.
CRITIQUE = re.compile(r"\[{3,}((?:(?!\[{3}).)*?)\]{3,}", re.DOTALL)
NUMBER = re.compile(r"(?<!\[)\[\[([^\[\]]*)\]\](?!\])")
WHOLE = re.compile(r"\d+", re.ASCII)
DECIMAL = re.compile(r"\d+(\.\d+)?", re.ASCII)
LOWEST, HIGHEST = 1, 10


class SingleCallJudge(Judge):
    """A judge that is asked once for everything, and again while its answer is of no use."""

    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """See Judge.rate. A row's words are those of the last attempt, its tokens of all of them."""
        asked = ask_until_usable(self.engine, self.settings, candidates, self._ask, self._read)
        return [self._rating(asked[row.candidate_id]) for row in candidates]

    def _ask(self, row: Candidate, attempt: int) -> Request:
        content = self.templates.render(
            "judgement",
            conversation=row.context,
            response=row.completion,
            nothing_missing=self.settings.nothing_missing,
            decimals=self.settings.decimals,
        )
        seed = seed_of(self.seed, self.name, row.candidate_id, attempt)
        return Request(row.candidate_id, ({"role": "user", "content": content},), seed)

    def _read(self, row: Candidate, asked: Request, answer: Completion) -> Reading:
        if failed_to_answer(answer):
            return Reading(Status.ERROR)
        return read_judgement(
            answer.text,
            answer.finish_reason == "stop",
            self.settings.decimals,
            self.settings.nothing_missing,
            placeholders(self.templates.texts["judgement"]),
            [asked.messages[0]["content"], row.completion],
            self.settings.echo_overlap,
        )

    def _rating(self, asked: Asked) -> Rating:
        answer, reading, number = asked.answer, asked.reading, asked.reading.number
        return Rating(
            candidate_id=answer.key,
            judge=self.name,
            status=reading.status.value,
            rating=None if number is None else math.floor(number + 0.5),
            rating_expected=number,
            rating_source=None,
            wim=reading.wim,
            nothing_missing_logprob=None,
            raw=answer.text or (without_words(answer) if reading.status is Status.ERROR else ""),
            attempts=asked.attempts,
            tokens=asked.tokens,
            judge_digest=self.digest,
        )


def read_judgement(
    text: str,
    finished: bool,
    decimals: bool,
    nothing_missing: str,
    examples: Iterable[str],
    others: Sequence[str],
    echo_overlap: float,
) -> Reading:
    """The number and the critique of an answer in the single-call format, or why there are none.

    The last [[ ]] outside all critiques must hold one number from 1 to 10 and nothing else, and the
    last [[[ ]]] is the critique, over several lines too; empty, it says that nothing is missing.
    text: the judge's words. finished: whether the judge ended by itself. examples: critiques that
    the template itself spells out, whose repetition is an echo. The rest is as in `read_critique`.
    """
    critiques = [match.strip() for match in CRITIQUE.findall(text)]
    outside = CRITIQUE.sub("\n", text)
    numbers = NUMBER.findall(outside)
    # Brackets that are opened and not closed leave open what stands inside them.
    if not critiques or not numbers or "[[[" in outside:
        if not finished:
            return Reading(Status.TRUNCATED)
        refused = not critiques and not numbers and REFUSAL.match(plain(text))
        return Reading(Status.REFUSED if refused else Status.UNPARSABLE)
    number, critique = read_number(numbers[-1], decimals), critiques[-1]
    if number is None:
        return Reading(Status.UNPARSABLE)
    if not critique:
        return Reading(Status.NOTHING_MISSING, number, critique)
    if plain(critique) in set(map(plain, examples)):
        return Reading(Status.ECHO)
    status, _ = read_critique(critique, True, nothing_missing, others, echo_overlap)
    return Reading(status, number, critique) if status.usable else Reading(status)


def read_number(text: str, decimals: bool) -> float | None:
    """The one number from 1 to 10 that a text is, with decimals only where the scale has them."""
    text = text.strip()
    if not (DECIMAL if decimals else WHOLE).fullmatch(text):
        return None
    number = float(text)
    return number if LOWEST <= number <= HIGHEST else None


def placeholders(template: str) -> list[str]:
    """The critiques that a template spells out itself, to show the format; the empty one is none."""
    return [found for match in CRITIQUE.findall(template) if (found := match.strip())]
