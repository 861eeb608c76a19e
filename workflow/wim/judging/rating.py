"""The structured judge: the critique first, then the number with the critique in view.

Critique before score follows CLoud (Ankner et al. 2024, arXiv 2408.11791). The number is
not parsed: it is read from the model's probabilities of 1 to 10 at a forced position.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wim.digest import digest_of, seed_of
from wim.engines.base import ChoiceLogprobs, Completion, Engine, Request
from wim.engines.remote import ReadChoices, Unanswered
from wim.judging.templates import Templates, read_templates
from wim.judging.verdict import Status, read_critique
from wim.progress import progress
from wim.settings.judging import JudgeSettings
from wim.settings.models import ModelSource
from wim.tables import Candidate, Message, Rating

logger = logging.getLogger(__name__)
OPENING = "Rating:"
NUMBERS = tuple(f" {number}" for number in range(1, 11))


class StructuredJudge:
    """A named judge: an engine, its templates and its settings."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        templates: Templates,
        settings: JudgeSettings,
        seed: int,
        model_digest: str,
    ) -> None:
        self.name = name
        self.engine = engine
        self.templates = templates
        self.settings = settings
        self.seed = seed
        self.digest = digest_of(
            {
                "model": model_digest,
                "templates": templates.digest,
                "settings": settings.model_dump(exclude={"model", "templates"}),
                "seed": seed,
            }
        )

    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """A rating for each candidate, in the candidates' order.

        Every candidate gets one; a judgement that failed says so in its status.
        """
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
        if answer.finish_reason == "context" or isinstance(answer, Unanswered):
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
        raw = answer.text
        if status is Status.ERROR:
            raw = raw or f"(no answer: {_reason(answer)})"
        return Rating(
            candidate_id=row.candidate_id,
            judge=self.name,
            status=status.value,
            rating=None if numbers is None else numbers.most_likely,
            rating_expected=None if numbers is None else expected_rating(numbers.shares),
            rating_source=None if numbers is None else numbers.source,
            wim=wim if status.usable else None,
            nothing_missing_logprob=nothing[row.candidate_id],
            raw=raw,
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


def _reason(answer: Completion) -> str:
    """Why there is no critique."""
    if isinstance(answer, Unanswered):
        return answer.reason
    return f"the judge's prompt of {answer.prompt_tokens} tokens leaves no room in its context"


def expected_rating(probabilities: Sequence[float]) -> float:
    """The mean rating over the probabilities of 1 to 10."""
    return sum(number * share for number, share in enumerate(probabilities, start=1))


def write_ratings(
    dialogues: Path,
    manifest: Path,
    templates: list[Path],
    judge: str,
    settings: JudgeSettings,
    seed: int,
    model: ModelSource,
    batch_size: int,
    store: Path,
    output: Path,
) -> None:
    """The ratings table of one shard of dialogues, by one judge.

    The store keeps what the judge's model said, not what was read from it: an edit of the
    reading asks the model nothing again.
    """
    from wim.engines.stored import open_engine
    from wim.models import read_manifest
    from wim.table_files import as_arrow, read_table, write_table
    from wim.tables import DIALOGUES, RATINGS

    candidates = [Candidate(**row) for row in read_table(dialogues, DIALOGUES).to_pylist()]
    texts, digest = read_templates(templates), read_manifest(manifest).digest
    with open_engine(manifest, model, batch_size, store) as engine:
        ratings = StructuredJudge(judge, engine, texts, settings, seed, digest).rate(candidates)
    counts = {status.value: sum(row.status == status for row in ratings) for status in Status}
    found = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    new = len(engine.computed)
    logger.info(
        "ratings by %s: %d rows, %d from the store, %d judged: %s",
        *(judge, len(ratings), len(ratings) - new, new, found or "none"),
    )
    write_table(output, RATINGS, as_arrow(RATINGS, ratings))
