"""The structured judge: the critique first, then the number with the critique in view.

Critique before score follows CLoud (Ankner et al. 2024, arXiv 2408.11791). The number is
not parsed: it is read from the model's probabilities of 1 to 10 at a forced position.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from wim.digest import seed_of
from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.remote import ReadChoices
from wim.judging.judge import Judge, failed_to_answer, without_words
from wim.judging.verdict import Status, read_critique
from wim.progress import progress
from wim.tables import Candidate, Message, Rating

logger = logging.getLogger(__name__)
OPENING = "Rating:"
NUMBERS = tuple(f" {number}" for number in range(1, 11))


class StructuredJudge(Judge):
    """A judge that is asked twice: for its critique, and for the number with that in view."""

    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """See Judge.rate; the number is asked for where the critique is usable."""
        asked = {row.candidate_id: self._ask(row) for row in candidates}
        nothing = {
            answer.key: answer.logprobs[0] if answer.logprobs else None
            for answer in self.engine.choice_logprobs(
                list(asked.values()), [self.settings.nothing_missing]
            )
        }
        critiques = self._critiques(asked)
        verdicts = {row.candidate_id: self._verdict(row, critiques, asked) for row in candidates}
        numbers = self._numbers(
            {
                row.candidate_id: self._ask_number(row, asked, critiques)
                for row in candidates
                if verdicts[row.candidate_id][0].usable
            }
        )
        return [
            self._rating(row, verdicts, critiques, nothing, numbers.get(row.candidate_id))
            for row in candidates
        ]

    def _ask(self, row: Candidate) -> Request:
        content = self._rendered("critique", row)
        return Request(
            row.candidate_id,
            ({"role": "user", "content": content},),
            seed_of(self.seed, self.name, row.candidate_id),
        )

    def _rendered(self, template: str, row: Candidate) -> str:
        return self.templates.render(
            template,
            conversation=row.context,
            response=row.completion,
            nothing_missing=self.settings.nothing_missing,
        )

    def _critiques(self, asked: dict[str, Request]) -> dict[str, Completion]:
        answers = self.engine.generate(list(asked.values()), self.settings.sampling)
        return {answer.key: answer for answer in progress(answers, len(asked), "ratings", "row")}

    def _verdict(
        self, row: Candidate, critiques: dict[str, Completion], asked: dict[str, Request]
    ) -> tuple[Status, str]:
        answer = critiques[row.candidate_id]
        if failed_to_answer(answer):
            return Status.ERROR, ""
        return read_critique(
            answer.text,
            answer.finish_reason == "stop",
            self.settings.nothing_missing,
            [asked[row.candidate_id].messages[0]["content"], row.completion],
            self.settings.echo_overlap,
        )

    def _ask_number(
        self, row: Candidate, asked: dict[str, Request], critiques: dict[str, Completion]
    ) -> Request:
        answer: Message = {"role": "assistant", "content": critiques[row.candidate_id].text}
        question: Message = {"role": "user", "content": self._rendered("rating", row)}
        messages = (*asked[row.candidate_id].messages, answer, question)
        return Request(row.candidate_id, messages, opening=OPENING)

    def _numbers(self, requests: dict[str, Request]) -> dict[str, "Numbers"]:
        """What the judge says of the numbers 1 to 10, by candidate."""
        numbers = {}
        for answer in self.engine.choice_logprobs(list(requests.values()), NUMBERS):
            if answer.logprobs is not None:
                numbers[answer.key] = numbers_of(answer, answer.logprobs)
            elif isinstance(answer, ReadChoices):
                logger.warning("candidate %s: no number: %s", answer.key, answer.reason)
        return numbers

    def _rating(
        self,
        row: Candidate,
        verdicts: dict[str, tuple[Status, str]],
        critiques: dict[str, Completion],
        nothing: dict[str, float | None],
        numbers: "Numbers | None",
    ) -> Rating:
        status, wim = verdicts[row.candidate_id]
        answer = critiques[row.candidate_id]
        if status.usable and numbers is None:
            status = Status.ERROR
        return Rating(
            candidate_id=row.candidate_id,
            judge=self.name,
            status=status.value,
            rating=None if numbers is None else numbers.most_likely,
            rating_expected=None if numbers is None else expected_rating(numbers.shares),
            rating_source=None if numbers is None else numbers.source,
            wim=wim if status.usable else None,
            nothing_missing_logprob=nothing[row.candidate_id],
            raw=answer.text or (without_words(answer) if status is Status.ERROR else ""),
            attempts=1,
            tokens=answer.completion_tokens,
            judge_digest=self.digest,
        )


@dataclass(frozen=True)
class Numbers:
    """Shares of the numbers 1 to 10, which sum to 1, and what they are: `logprobs` or `samples`."""

    shares: tuple[float, ...]
    source: str

    @property
    def most_likely(self) -> int:
        """The number of the largest share, the lowest of equal ones."""
        return 1 + self.shares.index(max(self.shares))


def numbers_of(answer: ChoiceLogprobs, logprobs: Sequence[float]) -> Numbers:
    """The shares of the ten log-probabilities of an answer."""
    weights = [math.exp(value) for value in logprobs]
    source = answer.source if isinstance(answer, ReadChoices) else None
    return Numbers(tuple(weight / sum(weights) for weight in weights), source or "logprobs")


def expected_rating(probabilities: Sequence[float]) -> float:
    """The mean rating over the probabilities of 1 to 10."""
    return sum(number * share for number, share in enumerate(probabilities, start=1))
