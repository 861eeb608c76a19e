"""Arena-Hard's files: questions, model_answer and model_judgment, JSON lines each.

github.com/lmarena/arena-hard-auto, in the forms of its versions 0.1 and 2.0; what is written is of
version 2.0. A judgement is a label in each of two games, the second with the order swapped.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.display.json_files import write_json_lines
from wim.errors import UserError
from wim.evaluation.compared.style import Style
from wim.evaluation.formats.rows import FileRow, read_rows
from wim.provenance.digest import row_id

QUESTIONS = "Arena-Hard's question.jsonl: {uid, prompt}, or {question_id, turns}"
ANSWERS = "Arena-Hard's model_answer: {uid, model, messages}, or {question_id, model_id, choices}"
JUDGEMENTS = "Arena-Hard's model_judgment: {uid, model, baseline, games}, each with a score"
# The score of A and how often it counts, by the label of a game.
LABELS: Mapping[str, tuple[float, int]] = {
    "A>>B": (1.0, 3),
    "A>B": (1.0, 1),
    "A=B": (0.5, 1),
    "B=A": (0.5, 1),
    "B>A": (0.0, 1),
    "A<B": (0.0, 1),
    "B>>A": (0.0, 3),
    "A<<B": (0.0, 3),
    "B<A": (1.0, 1),
    "B<<A": (1.0, 3),
}
# What version 0.1 compares with, and does not name in its judgements.
BASELINE = "gpt-4-0314"


@dataclass(frozen=True, kw_only=True)
class ArenaQuestion:
    """A prompt of Arena-Hard."""

    uid: str
    prompt: str
    category: str = ""


@dataclass(frozen=True, kw_only=True)
class ArenaAnswer:
    """A model's answer to a prompt; `tokens` is its length, where the file knows it."""

    uid: str
    model: str
    prompt: str
    answer: str
    tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class ArenaJudgement:
    """A judge's labels of a model's answer, A, and the baseline's, B, in both orders.

    Attributes:
        baseline_first, model_first: With the baseline shown as A, as Arena-Hard's first game, and
            with the model; None where the judge gave no label.
    """

    uid: str
    model: str
    baseline: str
    judge: str
    baseline_first: str | None
    model_first: str | None
    category: str = ""

    def games(self) -> list[tuple[float, int]]:
        """The model's score, and how often it counts, of each game with a label."""
        found = []
        for label, model_is_a in ((self.baseline_first, False), (self.model_first, True)):
            if label is not None:
                of_a, times = LABELS[label]
                found.append((of_a if model_is_a else 1 - of_a, times))
        return found


def read_questions(path: Path) -> list[ArenaQuestion]:
    """The prompts of a file; raises UserError for a missing file, or a row without a prompt."""
    questions = []
    for row in read_rows(path, QUESTIONS).rows:
        turns = row.values.get("turns")
        first = turns[0] if isinstance(turns, list) and turns else None
        prompt = row.text("prompt") or _content(first)
        if prompt is None:
            raise UserError(f"{path}: {row.place} has no prompt; expected {QUESTIONS}.")
        category = row.text("subcategory", "category") or ""
        questions.append(ArenaQuestion(uid=_uid(row), prompt=prompt, category=category))
    return questions


def read_answers(path: Path) -> list[ArenaAnswer]:
    """A model's answers; raises UserError for a missing file, or a row without an answer."""
    answers = []
    for row in read_rows(path, ANSWERS).rows:
        prompt, answer, tokens = _answer(row)
        if answer is None:
            raise UserError(f"{path}: {row.place} has no answer; expected {ANSWERS}.")
        answers.append(
            ArenaAnswer(
                uid=_uid(row),
                model=row.text("model", "model_id") or path.stem,
                prompt=prompt or "",
                answer=answer,
                tokens=tokens,
            )
        )
    return answers


def _answer(row: FileRow) -> tuple[str | None, str | None, int | None]:
    """The prompt, the answer and its tokens, in either version's form."""
    messages = row.values.get("messages")
    if isinstance(messages, list) and messages:
        asked = [one for one in messages if isinstance(one, Mapping) and one.get("role") == "user"]
        last = messages[-1] if isinstance(messages[-1], Mapping) else {}
        metadata = row.values.get("metadata")
        tokens = metadata.get("token_len") if isinstance(metadata, Mapping) else None
        return _content(asked[0] if asked else None), _content(last), _count(tokens)
    choices = row.values.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    turns = first.get("turns") if isinstance(first, Mapping) else None
    turn = turns[0] if isinstance(turns, list) and turns else None
    tokens = turn.get("token_len") if isinstance(turn, Mapping) else None
    return None, _content(turn), _count(tokens)


def _content(message: object) -> str | None:
    """The text of a message, whose content may be an object with an answer."""
    if isinstance(message, str):
        return message
    if not isinstance(message, Mapping):
        return None
    content = message.get("content")
    if isinstance(content, Mapping):
        content = content.get("answer")
    return content if isinstance(content, str) else None


def _count(tokens: object) -> int | None:
    return tokens if isinstance(tokens, int) else None


def _uid(row: FileRow) -> str:
    return row.text("uid", "question_id") or row.place


def write_answers(path: Path, answers: Iterable[tuple[ArenaAnswer, Style]]) -> None:
    """Write answers with their styles; they have no time, so that equal ones are equal bytes."""
    write_json_lines(path, (_row(answer, style) for answer, style in answers))


def _row(answer: ArenaAnswer, style: Style) -> dict[str, Any]:
    return {
        "uid": answer.uid,
        "ans_id": row_id([answer.uid, answer.model, answer.answer]),
        "model": answer.model,
        "messages": [
            {"role": "user", "content": answer.prompt},
            {"role": "assistant", "content": {"answer": answer.answer}},
        ],
        "tstamp": 0.0,
        # Only the sums of these are used.
        "metadata": {
            "token_len": style.length,
            "header_count": {"h1": style.headers},
            "list_count": {"unordered": style.lists},
            "bold_count": {"**": style.bold},
        },
    }


def read_judgements(path: Path) -> list[ArenaJudgement]:
    """The labels of a model's answers; raises UserError for a missing file, or one without games."""
    found = []
    for row in read_rows(path, JUDGEMENTS).rows:
        games = row.values.get("games")
        if not isinstance(games, list) or row.text("model") is None:
            raise UserError(f"{path}: {row.place} has no model or no games; expected {JUDGEMENTS}.")
        labels = [_label(game) for game in games[:2]]
        labels += [None] * (2 - len(labels))
        found.append(
            ArenaJudgement(
                uid=_uid(row),
                model=row.text("model") or "",
                baseline=row.text("baseline") or BASELINE,
                judge=row.text("judge") or "unnamed judge",
                baseline_first=labels[0],
                model_first=labels[1],
                category=row.text("category") or "",
            )
        )
    return found


def _label(game: object) -> str | None:
    label = game.get("score") if isinstance(game, Mapping) else None
    return label if isinstance(label, str) and label in LABELS else None
