"""Asking a judge for its words, and again while they are of no use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wim.engines.base import Completion, Engine, Request
from wim.judging.parse import Reading
from wim.progress import progress
from wim.settings.judging import JudgeSettings
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate


@dataclass(frozen=True)
class Asked:
    """The last answer to a judgement's question, what was read from it, and what all of them cost.

    tokens: drawn in all attempts, with the end tokens.
    """

    request: Request
    answer: Completion
    reading: Reading
    attempts: int
    tokens: int


def ask_until_usable(
    engine: Engine,
    settings: JudgeSettings,
    candidates: Sequence[Candidate],
    ask: Callable[[Candidate, int], Request],
    read: Callable[[Candidate, Request, Completion], Reading],
) -> dict[str, Asked]:
    """The words of a judge on each candidate, by its id, asked for `settings.attempts` times at most.

    ask: the request of a candidate's n-th attempt, from 1, keyed by the candidate's id. A question
    that has no room, or that the server did not answer, is not asked again.
    """
    asked: dict[str, Asked] = {}
    pending = list(candidates)
    for attempt in range(1, settings.attempts + 1):
        requests = {row.candidate_id: ask(row, attempt) for row in pending}
        found = engine.generate(list(requests.values()), settings.sampling)
        answers = {
            answer.key: answer for answer in progress(found, len(requests), "ratings", "row")
        }
        for row in pending:
            request, answer = requests[row.candidate_id], answers[row.candidate_id]
            before = asked[row.candidate_id].tokens if attempt > 1 else 0
            asked[row.candidate_id] = Asked(
                *(request, answer, read(row, request, answer)),
                *(attempt, before + answer.completion_tokens),
            )
        pending = [row for row in pending if _may_do_better(asked[row.candidate_id].reading)]
        if not pending:
            break
    return asked


def _may_do_better(reading: Reading) -> bool:
    return not reading.status.usable and reading.status is not Status.ERROR
