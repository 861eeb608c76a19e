"""What a judge said of each speaker's answers to questions, as FastChat's judgements.

The tables have every answer of the judge as text, so that it is read here in either way.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from wim.evaluation.formats.fastchat import PairwiseJudgement, SingleJudgement
from wim.evaluation.speakers import table_rows
from wim.judging.grades import Choice, published_choice, published_grade, strict_choice
from wim.judging.mt_bench import conversation_of, read_questions_of, template_of
from wim.judging.pairwise import pair_id_of
from wim.prompts.questions import Question
from wim.tables.ratings import Status
from wim.tables.schemas import COMPARISONS, CUT, DIALOGUES, RATINGS, Candidate, Comparison, Rating

# The winners that a choice stands for, with the speaker's answer shown first and second.
IN_ORDER: Mapping[Choice, str] = {"A": "model_1", "B": "model_2", "C": "tie"}
SWAPPED: Mapping[Choice, str] = {"A": "model_2", "B": "model_1", "C": "tie"}


@dataclass(frozen=True)
class AnsweredQuestions:
    """The questions of an evaluation, and every speaker's answers by prompt_id and turn."""

    questions: Mapping[str, Question]
    answers: Mapping[str, Mapping[tuple[str, int], Candidate]]

    @property
    def categories(self) -> dict[str, str]:
        """The category of each question that has one, by question_id."""
        return {
            each.question_id: each.category for each in self.questions.values() if each.category
        }

    @property
    def turns(self) -> int:
        """How many turns all questions have together."""
        return sum(len(each.turns) for each in self.questions.values())

    def cut(self, speaker: str) -> int:
        """How many of a speaker's answers were cut at max_new_tokens."""
        return sum(row.finish_reason == CUT for row in self.answers[speaker].values())


def answered_questions(
    prompts: Sequence[str],
    dialogues: Sequence[str],
    speakers: Sequence[str],
    dropped: Collection[str] = (),
) -> AnsweredQuestions:
    """The questions and the answers to them.

    Args:
        prompts: The evaluation's prompts, all shards.
        dialogues: The dialogues of each speaker, all shards, speaker by speaker.
        speakers: Their names.
        dropped: Prompts to leave out.
    """
    questions = {
        prompt: question
        for prompt, question in read_questions_of(prompts).items()
        if prompt not in dropped
    }
    answers = {}
    for speaker, paths in _by_speaker(dialogues, speakers).items():
        rows = [Candidate(**row) for row in table_rows(paths, DIALOGUES)]
        answers[speaker] = {
            (row.prompt_id, row.turn): row
            for row in rows
            # What never came to an answer is none, and nobody judges it.
            if row.judged and row.prompt_id in questions
        }
    return AnsweredQuestions(questions, answers)


def single_judgements(
    answered: AnsweredQuestions,
    ratings: Sequence[str],
    judge: str,
    published: bool,
) -> list[SingleJudgement]:
    """The grade of every answer, or why it has none.

    Args:
        answered: The questions and answers.
        ratings: Of each speaker, all shards, speaker by speaker.
        judge: Its name.
        published: Whether grades are read as published, and not strictly.
    """
    found = []
    for speaker, paths in _by_speaker(ratings, list(answered.answers)).items():
        rows = {row["candidate_id"]: Rating(**row) for row in table_rows(paths, RATINGS)}
        for (prompt, turn), answer in sorted(answered.answers[speaker].items()):
            row = rows[answer.candidate_id]
            score = row.rating_expected
            if published and row.status != Status.ERROR:
                score = published_grade(row.raw)
            found.append(
                SingleJudgement(
                    **_asked("single", answered.questions[prompt], turn, judge),
                    model=speaker,
                    score=score,
                    cause=row.status if score is None else None,
                    judgment=row.raw,
                )
            )
    return found


def pair_judgements(
    answered: AnsweredQuestions,
    comparisons: Sequence[str],
    judge: str,
    published: bool,
) -> list[PairwiseJudgement]:
    """The winner of every speaker's answer and the reference's in both orders, or why there is none.

    Equal answers, which no one was asked about, are a tie.

    Args:
        answered: The questions and answers, the reference speaker's first.
        comparisons: Of each speaker with the reference, all shards, speaker by speaker.
        judge: Its name.
        published: Whether choices are read as published, and not strictly.
    """
    reference, *others = answered.answers
    found = []
    for speaker, paths in _by_speaker(comparisons, others).items():
        rows = {row["pair_id"]: Comparison(**row) for row in table_rows(paths, COMPARISONS)}
        for (prompt, turn), own in sorted(answered.answers[speaker].items()):
            other = answered.answers[reference].get((prompt, turn))
            if other is None:
                continue
            winners: tuple[str | None, str | None] = ("tie", "tie")
            cause, raw = None, ("", "")
            if conversation_of(own) != conversation_of(other):
                row = rows[pair_id_of(own.candidate_id, other.candidate_id)]
                winners = (
                    _winner(row.raw_a_shown_first, IN_ORDER, published),
                    _winner(row.raw_b_shown_first, SWAPPED, published),
                )
                cause = _cause(winners, row.status)
                raw = (row.raw_a_shown_first or "", row.raw_b_shown_first or "")
            found.append(
                PairwiseJudgement(
                    **_asked("pair", answered.questions[prompt], turn, judge),
                    model_1=speaker,
                    model_2=reference,
                    in_order=winners[0],
                    swapped=winners[1],
                    cause=cause,
                    judgments=raw,
                )
            )
    return found


def _winner(raw: str | None, names: Mapping[Choice, str], published: bool) -> str | None:
    if raw is None:
        return None
    choice = published_choice(raw) if published else strict_choice(raw)
    return names[choice] if choice else None


def _cause(winners: Sequence[str | None], status: str) -> str | None:
    failed = sum(winner is None for winner in winners)
    return (None, f"one order failed: {status}", status)[failed]


class _Asked(TypedDict):
    """What a judge was asked, in the fields that both kinds of judgements have."""

    question_id: str
    judge: str
    prompt: str
    turn: int


def _asked(mode: str, question: Question, turn: int, judge: str) -> _Asked:
    """The question, and the template that was used, with whether it showed a reference."""
    template = template_of(mode, turn) + ("-reference" if question.references(turn) else "")
    return {"question_id": question.question_id, "judge": judge, "prompt": template, "turn": turn}


def _by_speaker(paths: Sequence[str], speakers: Sequence[str]) -> dict[str, Sequence[str]]:
    """The files of each speaker, which has as many as any other."""
    shards = len(paths) // max(1, len(speakers))
    return {
        speaker: paths[place * shards : (place + 1) * shards]
        for place, speaker in enumerate(speakers)
    }
