"""FastChat's files of MT-Bench: questions, model_answer and model_judgment, JSON lines each.

github.com/lm-sys/FastChat, fastchat/llm_judge. A judgement of single grading has a score, -1 where
none was found; a pairwise one has the winner of two games, the second with the order swapped:
model_1, model_2, tie or error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.display.json_files import write_json_lines
from wim.errors import UserError
from wim.evaluation.formats.rows import FileRow, number, printable, read_rows
from wim.prompts.questions import Question, question_in, text_of_id
from wim.provenance.digest import row_id

QUESTIONS = "FastChat's question.jsonl: {question_id, category, turns}"
ANSWERS = "FastChat's model_answer: {question_id, model_id, choices}"
JUDGEMENTS = (
    "FastChat's model_judgment: {question_id, model, judge, score, turn}, or "
    "{question_id, model_1, model_2, judge, g1_winner, g2_winner, turn}"
)
WINNERS = ("model_1", "model_2", "tie")
# The judge of a file that names none.
JUDGE = "unnamed judge"


@dataclass(frozen=True, kw_only=True)
class ModelAnswer:
    """A model's answers to the turns of a question."""

    question_id: str
    model: str
    turns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SingleJudgement:
    """A judge's score of a model's answer in one turn; None where the judgement failed."""

    question_id: str
    model: str
    judge: str
    prompt: str
    score: float | None
    turn: int
    cause: str | None = None
    user_prompt: str = ""
    judgment: str = ""


@dataclass(frozen=True, kw_only=True)
class PairwiseJudgement:
    """A judge's view of two models' answers in one turn, in two games.

    Attributes:
        in_order, swapped: The winner with model_1 shown first, and with model_2: `model_1`,
            `model_2` or `tie`; None where the game failed. Equal where the file has one verdict.
        one_verdict: The file has one verdict of both games, so that their order is not known.
    """

    question_id: str
    model_1: str
    model_2: str
    judge: str
    prompt: str
    in_order: str | None
    swapped: str | None
    turn: int
    cause: str | None = None
    one_verdict: bool = False
    judgments: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Judgements:
    """A file's judgements of both kinds, and the places of what is none."""

    single: Sequence[SingleJudgement]
    pairs: Sequence[PairwiseJudgement]
    unreadable: Sequence[str] = ()


def read_judgements(path: Path) -> Judgements:
    """The judgements of a file.

    Raises:
        UserError: There is no such file, or no row of it is a judgement.
    """
    found = read_rows(path, JUDGEMENTS)
    single, pairs, unreadable = [], [], list(found.unreadable)
    for row in found.rows:
        if not _is_whole(row.values.get("turn")):
            unreadable.append(row.place)
        elif "score" in row.values and row.text("model") is not None:
            single.append(_single(row))
        elif row.text("model_1") is not None and row.text("model_2") is not None:
            pairs.append(_pair(row))
        else:
            unreadable.append(row.place)
    if not single and not pairs:
        keys = ", ".join(sorted(found.rows[0].values)[:8])
        raise UserError(
            f"{path}: no row is a judgement; {found.rows[0].place} has {keys}. "
            f"Expected {JUDGEMENTS}."
        )
    return Judgements(single, pairs, unreadable)


def _single(row: FileRow) -> SingleJudgement:
    raw = row.values.get("score")
    score = number(raw)
    cause = None
    if score == -1:
        score, cause = None, "no score found (-1)"
    elif score is None:
        cause = "no score" if raw is None else "score is no number"
    judge, prompt = _judge(row)
    return SingleJudgement(
        question_id=_question_id(row),
        model=row.text("model") or "",
        judge=judge,
        prompt=prompt,
        score=score,
        turn=_turn(row, prompt),
        cause=cause,
        user_prompt=row.text("user_prompt") or "",
        judgment=row.text("judgment") or "",
    )


def _pair(row: FileRow) -> PairwiseJudgement:
    one_verdict = "g1_winner" not in row.values and "winner" in row.values
    games = ("winner", "winner") if one_verdict else ("g1_winner", "g2_winner")
    raw = [row.values.get(key) for key in games]
    if one_verdict and raw[0] == "inconsistent":
        raw = ["tie", "tie"]
    winners = [value if value in WINNERS else None for value in raw]
    judge, prompt = _judge(row)
    return PairwiseJudgement(
        question_id=_question_id(row),
        model_1=row.text("model_1") or "",
        model_2=row.text("model_2") or "",
        judge=judge,
        prompt=prompt,
        in_order=winners[0],
        swapped=winners[1],
        turn=_turn(row, prompt),
        cause=_cause(raw),
        one_verdict=one_verdict,
        judgments=(row.text("g1_judgment") or "", row.text("g2_judgment") or ""),
    )


def _cause(raw: Sequence[object]) -> str | None:
    """Why a pair has no verdict: an error in one game or both, or a winner that is none."""
    unknown = sorted({str(value) for value in raw if value not in (*WINNERS, "error")})
    if unknown:
        return f"winner is {printable(' or '.join(unknown))}"
    failed = sum(value == "error" for value in raw)
    return ("error in one game", "error in both games")[failed - 1] if failed else None


def _judge(row: FileRow) -> tuple[str, str]:
    """The judge's model, and the name of its prompt."""
    judge = row.values.get("judge")
    if isinstance(judge, list) and judge:
        return str(judge[0]), str(judge[1]) if len(judge) > 1 else ""
    return (judge, "") if isinstance(judge, str) else (JUDGE, "")


def _question_id(row: FileRow) -> str:
    found = row.values.get("question_id")
    return row.place if found is None else text_of_id(found)


def _turn(row: FileRow, prompt: str) -> int:
    """The turn; in files without it, by the name of the prompt."""
    turn = number(row.values.get("turn"))
    return int(turn) if turn is not None else 2 if prompt.endswith("multi-turn") else 1


def _is_whole(turn: object) -> bool:
    """Whether a turn is none, no number, or a whole one."""
    found = number(turn)
    return found is None or found.is_integer()


def read_questions(path: Path) -> list[Question]:
    """Questions with their categories.

    Raises:
        UserError: There is no such file, or a row lacks an id or its turns.
    """
    questions = []
    for row in read_rows(path, QUESTIONS).rows:
        question = question_in(row.values)
        if question is None:
            raise UserError(f"{path}: {row.place} has no id or no turns; expected {QUESTIONS}.")
        questions.append(question)
    return questions


def read_model_answers(path: Path) -> list[ModelAnswer]:
    """A model's answers, of the first choice of each question.

    Raises:
        UserError: There is no such file, or a row is of another form.
    """
    answers = []
    for row in read_rows(path, ANSWERS).rows:
        choices = row.values.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        turns = _texts(first.get("turns")) if isinstance(first, dict) else ()
        if "question_id" not in row.values or not turns:
            raise UserError(f"{path}: {row.place} has no id or no answer; expected {ANSWERS}.")
        model = row.text("model_id") or path.stem
        answers.append(ModelAnswer(question_id=_question_id(row), model=model, turns=turns))
    return answers


def write_questions(path: Path, questions: Iterable[Question]) -> None:
    """Write questions with their categories and references."""
    write_json_lines(
        path,
        (
            {
                "question_id": _id(one.question_id),
                "category": one.category,
                "turns": list(one.turns),
                **({"reference": list(one.reference)} if one.reference else {}),
            }
            for one in questions
        ),
    )


def write_model_answers(path: Path, answers: Iterable[ModelAnswer]) -> None:
    """Write answers; they have no time, so that equal answers are equal to the byte."""
    write_json_lines(
        path,
        (
            {
                "question_id": _id(one.question_id),
                "answer_id": row_id([one.question_id, one.model, *one.turns]),
                "model_id": one.model,
                "choices": [{"index": 0, "turns": list(one.turns)}],
                "tstamp": 0.0,
            }
            for one in answers
        ),
    )


def write_judgements(path: Path, judgements: Iterable[SingleJudgement | PairwiseJudgement]) -> None:
    """Write judgements of either kind; a failed one is -1, or error."""
    write_json_lines(path, map(_row, judgements))


def _row(one: SingleJudgement | PairwiseJudgement) -> dict[str, Any]:
    common = {"question_id": _id(one.question_id), "judge": [one.judge, one.prompt]}
    if isinstance(one, SingleJudgement):
        return common | {
            "model": one.model,
            "user_prompt": one.user_prompt,
            "judgment": one.judgment,
            "score": -1 if one.score is None else one.score,
            "turn": one.turn,
            "tstamp": 0.0,
        }
    return common | {
        "model_1": one.model_1,
        "model_2": one.model_2,
        "g1_winner": one.in_order or "error",
        "g2_winner": one.swapped or "error",
        "g1_judgment": one.judgments[0],
        "g2_judgment": one.judgments[1],
        "turn": one.turn,
        "tstamp": 0.0,
    }


def _id(question_id: str) -> int | str:
    return int(question_id) if question_id.isdecimal() else question_id


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
