"""The structured judge of aspects: words on all of them in one text, then a number for each.

A number is read from the model's probabilities with the whole text in view, as that of
wim.judging.structured, and only for an aspect whose own words are usable.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wim.engines.base import Completion, Engine, Request
from wim.judging.aspect_words import AspectWords, aspect_words
from wim.judging.base import failed_to_answer, reason_for_no_answer
from wim.judging.parse import Reading, read_critique
from wim.judging.retry import Judgement, ask_until_usable
from wim.judging.structured import OPENING, Numbers, StructuredJudge, expected_rating
from wim.settings.sampled_judges import NamedJudge
from wim.tables.aspects import AspectRating
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Message, Rating
from wim.templates import Templates

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgedAspects:
    """A judgement of a candidate: as a whole, and in each aspect."""

    whole: Rating
    aspects: list[AspectRating]


class AspectsJudge(StructuredJudge):
    """A judge that writes about several aspects at once, and rates each of them."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        templates: Templates,
        settings: NamedJudge,
        seed: int,
        model_digest: str,
    ) -> None:
        super().__init__(name, engine, templates, settings, seed, model_digest)
        self.questions = settings.questions

    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """See Judge.rate; each judgement as a whole."""
        return [each.whole for each in self.judged(candidates)]

    def judged(self, candidates: Sequence[Candidate]) -> list[JudgedAspects]:
        """The judgement of each candidate, in the candidates' order."""
        judgements = ask_until_usable(self.engine, self.settings, candidates, self._ask, self._read)
        readings = {
            row.candidate_id: self._readings(row, judgements[row.candidate_id])
            for row in candidates
        }
        numbers = self._numbers(
            [
                self._ask_aspect(row, judgements[row.candidate_id], aspect)
                for row in candidates
                for aspect, (reading, _) in readings[row.candidate_id].items()
                if reading.status.usable
            ]
        )
        return [
            self._judged(judgements[key], readings[key], numbers)
            for key in (row.candidate_id for row in candidates)
        ]

    def _rendered(self, template: str, row: Candidate, **more: object) -> str:
        return self.templates.render(
            template,
            conversation=row.context,
            response=row.completion,
            nothing_missing=self.settings.nothing_missing,
            aspects=self.questions,
            **more,
        )

    def _read(self, row: Candidate, request: Request, answer: Completion) -> Reading:
        """The status of the answer as a whole: it is usable if the words on every aspect are."""
        found = self._read_aspects(row, request, answer)
        return Reading(_status([reading.status for reading, _ in found.values()]))

    def _readings(
        self, row: Candidate, judgement: Judgement
    ) -> dict[str, tuple[Reading, AspectWords]]:
        return self._read_aspects(row, judgement.request, judgement.answer)

    def _read_aspects(
        self, row: Candidate, request: Request, answer: Completion
    ) -> dict[str, tuple[Reading, AspectWords]]:
        if failed_to_answer(answer):
            return {name: (Reading(Status.ERROR), AspectWords(None)) for name in self.questions}
        words = aspect_words(answer.text, list(self.questions))
        finished = answer.finish_reason == "stop"
        nowhere = all(each.text is None and not each.repeated for each in words.values())
        refused = nowhere and self.phrases.refuse(answer.text)
        found = {}
        for name, each in words.items():
            if each.text is None:
                status = Status.UNPARSABLE
                if refused:
                    status = Status.REFUSED
                elif not finished and not each.repeated:
                    status = Status.TRUNCATED
                found[name] = (Reading(status), each)
                continue
            status, critique = read_critique(
                each.text,
                finished or not each.last,
                self.phrases,
                [request.messages[0]["content"], row.completion],
                self.settings.echo_overlap,
            )
            found[name] = (Reading(status, wim=critique if status.usable else None), each)
        return found

    def _ask_aspect(self, row: Candidate, judgement: Judgement, aspect: str) -> Request:
        critique: Message = {"role": "assistant", "content": judgement.answer.text}
        question: Message = {
            "role": "user",
            "content": self._rendered("rating", row, aspect=aspect),
        }
        messages = (*judgement.request.messages, critique, question)
        return Request(number_key(row.candidate_id, aspect), messages, opening=OPENING)

    def _judged(
        self,
        judgement: Judgement,
        readings: Mapping[str, tuple[Reading, AspectWords]],
        numbers: Mapping[str, Numbers],
    ) -> JudgedAspects:
        answer = judgement.answer
        aspects = [
            self._aspect(answer.key, name, reading, words, numbers)
            for name, (reading, words) in readings.items()
        ]
        status = _status([Status(each.status) for each in aspects])
        said = "\n".join(f"{each.aspect}: {each.wim}" for each in aspects)
        expected = [each.rating_expected for each in aspects if each.rating_expected is not None]
        whole = Rating(
            candidate_id=answer.key,
            judge=self.name,
            status=status.value,
            rating=None,
            rating_expected=sum(expected) / len(expected) if status.usable else None,
            rating_source=aspects[0].rating_source if status.usable else None,
            wim=said if status.usable else None,
            nothing_missing_logprob=None,
            raw=answer.text or (reason_for_no_answer(answer) if status is Status.ERROR else ""),
            reasoning=answer.reasoning,
            attempts=judgement.attempts,
            tokens=judgement.tokens,
            judge_digest=self.digest,
        )
        return JudgedAspects(whole, aspects)

    def _aspect(
        self,
        candidate_id: str,
        name: str,
        reading: Reading,
        words: AspectWords,
        numbers: Mapping[str, Numbers],
    ) -> AspectRating:
        found = numbers.get(number_key(candidate_id, name))
        status = reading.status
        if status.usable and found is None:
            status = Status.ERROR
        return AspectRating(
            candidate_id=candidate_id,
            judge=self.name,
            sample=1,
            aspect=name,
            status=status.value,
            rating=None if found is None else found.most_likely,
            rating_expected=None if found is None else expected_rating(found.shares),
            rating_source=None if found is None else found.source,
            wim=reading.wim if status.usable else None,
            raw=words.text or "",
            judge_digest=self.digest,
        )


def number_key(candidate_id: str, aspect: str) -> str:
    """The key of the request for a candidate's number in an aspect."""
    return f"{candidate_id}/{aspect}"


def _status(statuses: Sequence[Status]) -> Status:
    """That of a whole judgement: an error, that of the first aspect without usable words, or ok."""
    if Status.ERROR in statuses:
        return Status.ERROR
    for status in statuses:
        if not status.usable:
            return status
    return Status.OK if Status.OK in statuses else Status.NOTHING_MISSING
