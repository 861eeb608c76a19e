"""The single-call judge: explanation, [[number]] and [[[critique]]] in one answer.

The format is the published one (Stranges and Yang 2026, arXiv 2603.04429), and parsing is strict:
an answer that cannot be parsed is requested again up to `attempts` times; after that the judgement
has failed and gives no number.
"""

import math
from collections.abc import Sequence

from wim.engines.base import Completion, Request
from wim.judging.base import Judge, failed_to_answer, reason_for_no_answer
from wim.judging.parse import Reading, placeholders, read_judgement
from wim.judging.retry import Judgement, ask_until_usable
from wim.provenance.digest import seed_of
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Rating


class SingleCallJudge(Judge):
    """A judge that gives everything in one answer, and is queried again while that is unusable."""

    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """See Judge.rate. A row's raw text is that of the last attempt, its tokens those of all."""
        judgements = ask_until_usable(self.engine, self.settings, candidates, self._ask, self._read)
        return [self._rating(judgements[row.candidate_id]) for row in candidates]

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

    def _read(self, row: Candidate, request: Request, answer: Completion) -> Reading:
        if failed_to_answer(answer):
            return Reading(Status.ERROR)
        return read_judgement(
            answer.text,
            answer.finish_reason == "stop",
            self.settings.decimals,
            self.phrases,
            placeholders(self.templates.texts["judgement"]),
            [request.messages[0]["content"], row.completion],
            self.settings.echo_overlap,
        )

    def _rating(self, judgement: Judgement) -> Rating:
        answer, reading, number = judgement.answer, judgement.reading, judgement.reading.number
        return Rating(
            candidate_id=answer.key,
            judge=self.name,
            status=reading.status.value,
            rating=None if number is None else math.floor(number + 0.5),
            rating_expected=number,
            rating_source=None,
            wim=reading.wim,
            nothing_missing_logprob=None,
            raw=answer.text
            or (reason_for_no_answer(answer) if reading.status is Status.ERROR else ""),
            reasoning=answer.reasoning,
            attempts=judgement.attempts,
            tokens=judgement.tokens,
            judge_digest=self.digest,
        )
