"""Answers to questions of several turns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from wim.dialogues.generate import draw_dialogues
from wim.engines.answers import unanswered
from wim.engines.base import Completion, Request
from wim.errors import UserError
from wim.prompts.questions import Question, prompt_of
from wim.settings.dialogues import DialogueSettings
from wim.settings.sampling import Sampling
from wim.tables.schemas import Candidate

SETTINGS = DialogueSettings(candidates=1, system="Be brief.", sampling=Sampling(temperature=0.9))
WRITING = Question(question_id="81", category="writing", turns=("Write.", "Shorten.", "Again."))
MATH = Question(question_id="111", category="math", turns=("1 + 1?", "And 2 + 2?"))
OTHER = Question(question_id="1", category="other", turns=("Hm?", "Well?"))


@dataclass
class Speaker:
    """Answers every request with its number, save those that `instead` has an answer to."""

    instead: dict[str, Completion] = field(default_factory=dict)
    asked: list[tuple[Request, Sampling]] = field(default_factory=list)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        for request in requests:
            self.asked.append((request, sampling))
            said = self.instead.get(request.messages[-1]["content"])
            if said is None:
                yield Completion(request.key, f"answer {len(self.asked)}", "stop", 1, 2)
            else:
                yield type(said)(**{**vars(said), "key": request.key})


def answers(speaker: Speaker, *questions: Question, **temperatures: float) -> list[Candidate]:
    prompts = [prompt_of(question, "eval", "questions.jsonl") for question in questions]
    rows = draw_dialogues(prompts, [speaker], ["m"], None, SETTINGS, 0, temperatures)  # type: ignore[list-item]
    return list(rows)


def test_each_turn_follows_the_speakers_own_answers() -> None:
    speaker = Speaker()
    rows = answers(speaker, WRITING)
    assert [(row.turn, row.continued) for row in rows] == [(1, True), (2, True), (3, False)]
    assert [message["content"] for message in rows[2].context] == [
        *("Be brief.", "Write.", "answer 1", "Shorten.", "answer 2", "Again.")
    ]
    assert [message["role"] for message in rows[2].context[1:]] == ["user", "assistant"] * 2 + [
        "user"
    ]
    assert len({row.dialogue_id for row in rows}) == 1
    assert len({row.seed for row in rows}) == 3


def test_a_category_has_its_own_temperature_in_every_turn_and_others_that_of_the_sampling() -> None:
    speaker = Speaker()
    answers(speaker, WRITING, MATH, OTHER, writing=0.7, math=0.0)
    found = {
        (request.messages[1]["content"], sampling.temperature)
        for request, sampling in speaker.asked
    }
    assert found == {("Write.", 0.7), ("1 + 1?", 0.0), ("Hm?", 0.9)}


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        (unanswered("", "the server is down"), []),
        (Completion("", "", "context", 9, 0), []),
        (Completion("", "", "length", 9, 8, reasoning="Let me see"), [(1, False)]),
    ],
)
def test_a_turn_without_an_answer_ends_its_question_alone(said, rows) -> None:
    found = answers(Speaker({"1 + 1?": said}), MATH, OTHER)
    own = [(row.turn, row.judged) for row in found if "1 + 1?" in str(row.context)]
    assert own == rows
    assert len(found) - len(own) == 2


def test_questions_that_all_leave_no_room_are_an_error() -> None:
    full = Completion("", "", "context", 9, 0)
    with pytest.raises(UserError, match="none leaves room"):
        answers(Speaker({"1 + 1?": full}), MATH)


def test_rows_are_the_same_whatever_else_is_asked() -> None:
    alone, beside = answers(Speaker(), MATH), answers(Speaker(), WRITING, MATH)
    keys = {row.candidate_id for row in beside}
    assert alone[0].candidate_id in keys
