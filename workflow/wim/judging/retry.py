"""Queries a judge, and again while its answers are unusable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wim.engines.base import Completion, Engine, Request
from wim.judging.parse import Reading
from wim.progress import progress
from wim.settings.judging import JudgeSettings
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate


@dataclass(frozen=True)
class Judgement:
    """The last answer in a judgement, what was parsed from it, and the cost of all attempts.

    tokens: those generated in all attempts, including end tokens.
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
) -> dict[str, Judgement]:
    """The judge's last answer on each candidate by its id, after `settings.attempts` at most.

    A request that does not fit into the context, or that the server did not answer, is not
    repeated.

    Args:
        engine: The engine of the judge's model.
        settings: The judge's.
        candidates: The candidates to judge.
        ask: The request of a candidate's n-th attempt, from 1, keyed by the candidate's id.
        read: Parses an answer to a request.
    """
    judgements: dict[str, Judgement] = {}
    pending = list(candidates)
    for attempt in range(1, settings.attempts + 1):
        requests = {row.candidate_id: ask(row, attempt) for row in pending}
        found = engine.generate(list(requests.values()), settings.sampling)
        answers = {
            answer.key: answer for answer in progress(found, len(requests), "ratings", "row")
        }
        for row in pending:
            request, answer = requests[row.candidate_id], answers[row.candidate_id]
            before = judgements[row.candidate_id].tokens if attempt > 1 else 0
            judgements[row.candidate_id] = Judgement(
                request=request,
                answer=answer,
                reading=read(row, request, answer),
                attempts=attempt,
                tokens=before + answer.completion_tokens,
            )
        pending = [row for row in pending if _may_do_better(judgements[row.candidate_id].reading)]
        if not pending:
            break
    return judgements


def _may_do_better(reading: Reading) -> bool:
    return not reading.status.usable and reading.status is not Status.ERROR
