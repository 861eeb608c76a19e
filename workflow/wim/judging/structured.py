"""The structured judge: the critique first, then the number with the critique in view.

Critique before score follows CLoud (Ankner et al. 2024, arXiv 2408.11791). The number is
not parsed: it comes from the model's probabilities of 1 to 10 at a forced position.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from wim.engines.answers import ReadChoices
from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.judging.base import Judge, failed_to_answer, reason_for_no_answer
from wim.judging.parse import Reading, read_critique
from wim.judging.retry import Judgement, ask_until_usable
from wim.provenance.digest import seed_of
from wim.tables.ratings import HIGHEST, LOWEST, Status
from wim.tables.schemas import Candidate, Message, Rating

logger = logging.getLogger(__name__)
OPENING = "Rating:"
NUMBERS = tuple(f" {number}" for number in range(LOWEST, HIGHEST + 1))


class StructuredJudge(Judge):
    """A judge that gives its critique first, and then the number with the critique in view."""

    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """See Judge.rate; the number is queried where the critique is usable."""
        nothing = self._nothing_missing(candidates)
        judgements = ask_until_usable(self.engine, self.settings, candidates, self._ask, self._read)
        usable = [row for row in candidates if judgements[row.candidate_id].reading.status.usable]
        numbers = self._numbers(
            [self._ask_number(row, judgements[row.candidate_id]) for row in usable]
        )
        return [
            self._rating(judgements[key], nothing[key], numbers.get(key))
            for key in (row.candidate_id for row in candidates)
        ]

    def _ask(self, row: Candidate, attempt: int) -> Request:
        content = self._rendered("critique", row)
        # The first attempt's seed does not depend on `attempts`, so its stored answer stays valid.
        later = (attempt,) if attempt > 1 else ()
        seed = seed_of(self.seed, self.name, row.candidate_id, *later)
        return Request(row.candidate_id, ({"role": "user", "content": content},), seed)

    def _rendered(self, template: str, row: Candidate) -> str:
        return self.templates.render(
            template,
            conversation=row.context,
            response=row.completion,
            nothing_missing=self.settings.nothing_missing,
        )

    def _nothing_missing(self, candidates: Sequence[Candidate]) -> dict[str, float | None]:
        """The log-probability that the critique begins with `nothing_missing`, by candidate."""
        answers = self.engine.choice_logprobs(
            [self._ask(row, 1) for row in candidates], [self.settings.nothing_missing]
        )
        return {answer.key: answer.logprobs[0] if answer.logprobs else None for answer in answers}

    def _read(self, row: Candidate, request: Request, answer: Completion) -> Reading:
        if failed_to_answer(answer):
            return Reading(Status.ERROR)
        status, critique = read_critique(
            answer.text,
            answer.finish_reason == "stop",
            self.phrases,
            [request.messages[0]["content"], row.completion],
            self.settings.echo_overlap,
        )
        return Reading(status, wim=critique if status.usable else None)

    def _ask_number(self, row: Candidate, judgement: Judgement) -> Request:
        critique: Message = {"role": "assistant", "content": judgement.answer.text}
        question: Message = {"role": "user", "content": self._rendered("rating", row)}
        messages = (*judgement.request.messages, critique, question)
        return Request(row.candidate_id, messages, opening=OPENING)

    def _numbers(self, requests: Sequence[Request]) -> dict[str, "Numbers"]:
        """The judge's shares of the numbers 1 to 10, by candidate."""
        numbers = {}
        for answer in self.engine.choice_logprobs(requests, NUMBERS):
            if answer.logprobs is not None:
                numbers[answer.key] = numbers_of(answer, answer.logprobs)
            elif isinstance(answer, ReadChoices):
                logger.debug("candidate %s: no number: %s", answer.key, answer.reason)
        return numbers

    def _rating(
        self, judgement: Judgement, nothing_missing: float | None, numbers: "Numbers | None"
    ) -> Rating:
        answer, status = judgement.answer, judgement.reading.status
        if status.usable and numbers is None:
            status = Status.ERROR
        return Rating(
            candidate_id=answer.key,
            judge=self.name,
            status=status.value,
            rating=None if numbers is None else numbers.most_likely,
            rating_expected=None if numbers is None else expected_rating(numbers.shares),
            rating_source=None if numbers is None else numbers.source,
            wim=judgement.reading.wim if status.usable else None,
            nothing_missing_logprob=nothing_missing,
            raw=answer.text or (reason_for_no_answer(answer) if status is Status.ERROR else ""),
            reasoning=answer.reasoning,
            attempts=judgement.attempts,
            tokens=judgement.tokens,
            judge_digest=self.digest,
        )


@dataclass(frozen=True)
class Numbers:
    """Shares of the numbers 1 to 10, which sum to 1, and their source: `logprobs` or `samples`."""

    shares: tuple[float, ...]
    source: str

    @property
    def most_likely(self) -> int:
        """The number with the largest share; the lowest where shares are equal."""
        return LOWEST + self.shares.index(max(self.shares))


def numbers_of(answer: ChoiceLogprobs, logprobs: Sequence[float]) -> Numbers:
    """The shares of the ten log-probabilities of an answer."""
    weights = [math.exp(value) for value in logprobs]
    source = answer.source if isinstance(answer, ReadChoices) else None
    return Numbers(tuple(weight / sum(weights) for weight in weights), source or "logprobs")


def expected_rating(probabilities: Sequence[float]) -> float:
    """The mean rating, weighted by the probabilities of 1 to 10."""
    return sum(number * share for number, share in enumerate(probabilities, start=LOWEST))
