"""The judge of answers to questions of several turns (MT-Bench): it grades one, or compares two.

Zheng et al. 2023 (arXiv 2306.05685): an explanation, then the verdict. Of the first turn the judge
sees the question and the answer; of a later one the whole conversation, and grades its end. Where
the question has reference answers, the judge sees them. The table's grades and winners are read
strictly; the raw text is kept beside them, so that it can be read as published too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wim.engines.base import Completion, Engine, Request
from wim.judging.base import Judge, failed_to_answer, reason_for_no_answer
from wim.judging.grades import Choice, status_of, strict_choice, strict_grade
from wim.judging.pairwise import order_key, pair_id_of
from wim.progress import progress
from wim.prompts.questions import Question, question_of
from wim.provenance.digest import seed_of
from wim.settings.judging import JudgeSettings
from wim.tables.files import read_tables
from wim.tables.ratings import Status
from wim.tables.schemas import PROMPTS, Candidate, Comparison, Prompt, Rating
from wim.templates import Templates

IN_ORDER: Mapping[Choice, str] = {"A": "a", "B": "b", "C": "tie"}
SWAPPED: Mapping[Choice, str] = {"A": "b", "B": "a", "C": "tie"}
PREFERENCE = {"a": 1.0, "b": 0.0, "tie": 0.5}


@dataclass(frozen=True)
class AnswerPair:
    """The answers of two speakers to one turn of a question, each in its own conversation."""

    pair_id: str
    a: Candidate
    b: Candidate


class MtBenchJudge(Judge):
    """A named judge of answers. Its questions, by prompt_id, have the reference answers."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        templates: Templates,
        settings: JudgeSettings,
        seed: int,
        model_digest: str,
        questions: Mapping[str, Question],
    ) -> None:
        super().__init__(name, engine, templates, settings, seed, model_digest)
        self.questions = questions

    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """See Judge.rate: a grade of each answer."""
        requests = [
            self._request(row.candidate_id, "single", row, {"answers": conversation_of(row)})
            for row in candidates
        ]
        answers = self._answers(requests, "ratings")
        return [self._rating(answers[row.candidate_id]) for row in candidates]

    def compare(self, pairs: Sequence[AnswerPair]) -> list[Comparison]:
        """A comparison of each pair in both orders, in the pairs' order."""
        requests = []
        for pair in pairs:
            for swapped in (False, True):
                first, second = (pair.b, pair.a) if swapped else (pair.a, pair.b)
                shown = {"first": conversation_of(first), "second": conversation_of(second)}
                requests.append(
                    self._request(order_key(pair.pair_id, swapped), "pair", pair.a, shown)
                )
        answers = self._answers(requests, "comparisons")
        return [
            self._comparison(
                pair,
                answers[order_key(pair.pair_id, swapped=False)],
                answers[order_key(pair.pair_id, swapped=True)],
            )
            for pair in pairs
        ]

    def _request(
        self, key: str, template: str, row: Candidate, shown: Mapping[str, Sequence[str]]
    ) -> Request:
        question = self.questions[row.prompt_id]
        content = self.templates.render(
            template_of(template, row.turn),
            questions=list(question.turns[: row.turn]),
            references=question.references(row.turn),
            **shown,
        )
        seed = seed_of(self.seed, self.name, key)
        return Request(key, ({"role": "user", "content": content},), seed)

    def _answers(self, requests: Sequence[Request], what: str) -> dict[str, Completion]:
        found = self.engine.generate(requests, self.settings.sampling)
        return {answer.key: answer for answer in progress(found, len(requests), what, "row")}

    def _rating(self, answer: Completion) -> Rating:
        failed = failed_to_answer(answer)
        grade = None if failed else strict_grade(answer.text)
        return Rating(
            candidate_id=answer.key,
            judge=self.name,
            status=self._status(answer, grade).value,
            rating=None if grade is None else int(grade + 0.5),
            rating_expected=grade,
            wim=None,
            nothing_missing_logprob=None,
            raw=reason_for_no_answer(answer) if failed else answer.text,
            reasoning=answer.reasoning,
            attempts=1,
            tokens=answer.completion_tokens,
            judge_digest=self.digest,
        )

    def _comparison(
        self, pair: AnswerPair, in_order: Completion, swapped: Completion
    ) -> Comparison:
        """The comparison that two answers make; its status is that of the first that failed."""
        statuses, winners = [], []
        for answer, names in ((in_order, IN_ORDER), (swapped, SWAPPED)):
            choice = None if failed_to_answer(answer) else strict_choice(answer.text)
            statuses.append(self._status(answer, choice))
            winners.append(names[choice] if choice else None)
        status = next((each for each in statuses if each is not Status.OK), Status.OK)
        known = [PREFERENCE[each] for each in winners if each is not None]
        both = len(known) == len(winners)
        return Comparison(
            pair_id=pair.pair_id,
            judge=self.name,
            status=status.value,
            winner=(winners[0] if winners[0] == winners[1] else "tie") if both else None,
            preference_a=sum(known) / 2 if both else None,
            logprob_a_shown_first=None,
            logprob_b_shown_second=None,
            logprob_b_shown_first=None,
            logprob_a_shown_second=None,
            judge_digest=self.digest,
            source="text" if both else None,
            prompt_id=pair.a.prompt_id,
            a_id=pair.a.candidate_id,
            b_id=pair.b.candidate_id,
            raw_a_shown_first=None if failed_to_answer(in_order) else in_order.text,
            raw_b_shown_first=None if failed_to_answer(swapped) else swapped.text,
        )

    def _status(self, answer: Completion, verdict: float | Choice | None) -> Status:
        if failed_to_answer(answer):
            return Status.ERROR
        return status_of(answer.text, verdict, answer.finish_reason == "stop", self.phrases)


def template_of(mode: str, turn: int) -> str:
    """The template of a mode, `single` or `pair`, for a turn, counted from 1."""
    return mode if turn == 1 else f"{mode}_conversation"


def conversation_of(row: Candidate) -> list[str]:
    """What the speaker answered up to a row, turn by turn."""
    said = [message["content"] for message in row.context if message["role"] == "assistant"]
    return [*said, row.completion]


def answer_pairs(a: Sequence[Candidate], b: Sequence[Candidate]) -> Iterator[AnswerPair]:
    """The turns that both speakers answered, in a's order, unless all that they said is equal.

    Equal answers are a tie that no one is asked about.
    """
    others = {(row.prompt_id, row.turn): row for row in b}
    for row in a:
        other = others.get((row.prompt_id, row.turn))
        if other is not None and conversation_of(row) != conversation_of(other):
            yield AnswerPair(pair_id_of(row.candidate_id, other.candidate_id), row, other)


def read_questions_of(prompts: Sequence[str | Path]) -> dict[str, Question]:
    """The questions that the prompts of some shards carry, by prompt_id."""
    rows = read_tables([Path(path) for path in prompts], PROMPTS).to_pylist()
    return {row["prompt_id"]: question_of(Prompt(**row)) for row in rows}
