"""The judge exactly as published, to reproduce its figures: its call and its parser.

By Stranges and Yang 2026 (arXiv 2603.04429), following the code at nstranges/what-is-missing. It
accepts the first [[ ]] and the first [[[ ]]] at any position, numbers out of range, and the
format's own example as a critique. Only here does a failure become a label, and only by the
reward of kind `published`: a number that cannot be parsed counts as 0 on the scale (n - 5) / 5, and
where the critique cannot be parsed the number replaces the cosine. The statuses in the table of
ratings still report the failure.
"""

import re
from collections.abc import Sequence

from wim.engines.base import Completion, Request
from wim.judging.base import Judge, failed_to_answer, reason_for_no_answer
from wim.progress import progress
from wim.provenance.digest import seed_of
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Rating

NUMBER = re.compile(r"\[\[(.*?)\]\]")
CRITIQUE = re.compile(r"\[\[\[(.*?)\]\]\]")
SAYS_NOTHING = ("", "None", "none")
LARGEST = 2**31 - 1


class UpstreamJudge(Judge):
    """A judge that is queried and parsed as published."""

    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """See Judge.rate. A rating without a usable critique keeps its number, where it has one."""
        requests = [self._ask(row) for row in candidates]
        found = self.engine.generate(requests, self.settings.sampling)
        answers = {
            answer.key: answer for answer in progress(found, len(requests), "ratings", "row")
        }
        return [self._rating(answers[row.candidate_id]) for row in candidates]

    def _ask(self, row: Candidate) -> Request:
        """The instruction as system, the prompt as assistant and the response as user."""
        instruction = self.templates.render(
            "judgement", conversation=row.context, response=row.completion
        )
        return Request(
            row.candidate_id,
            (
                {"role": "system", "content": instruction},
                {"role": "assistant", "content": row.context[-1]["content"]},
                {"role": "user", "content": row.completion},
            ),
            seed_of(self.seed, self.name, row.candidate_id),
        )

    def _rating(self, answer: Completion) -> Rating:
        room = not failed_to_answer(answer)
        number, critique = published_number(answer.text), published_critique(answer.text)
        if critique is not None:
            status = Status.NOTHING_MISSING if critique in SAYS_NOTHING else Status.OK
        elif not room:
            status = Status.ERROR
        else:
            cut = answer.finish_reason == "length"
            status = Status.TRUNCATED if cut else Status.UNPARSABLE
        return Rating(
            candidate_id=answer.key,
            judge=self.name,
            status=status.value,
            rating=number,
            rating_expected=None if number is None else float(number),
            wim=critique,
            nothing_missing_logprob=None,
            raw=answer.text if room else reason_for_no_answer(answer),
            reasoning=answer.reasoning,
            attempts=1,
            tokens=answer.completion_tokens,
            judge_digest=self.digest,
        )


def published_number(text: str) -> int | None:
    """The content of the first [[ ]] on one line, if Python's int() accepts it.

    Any integer counts, except those beyond 32 bits, which the table cannot hold.
    """
    found = NUMBER.findall(text)
    try:
        number = int(found[0])
    except (IndexError, ValueError):
        return None
    return number if abs(number) <= LARGEST else None


def published_critique(text: str) -> str | None:
    """The unchanged content of the first [[[ ]]] on one line; None if there is none."""
    found = CRITIQUE.findall(text)
    return found[0] if found else None
