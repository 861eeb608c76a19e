"""Questions of several turns in FastChat's form, and the prompts that carry them.

The prompt is the first turn; its metadata has the further ones, with category and references. A
question is identified by its turns alone, so that an edit of a reference moves none.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wim.prompts.messages import clean_text
from wim.provenance.digest import canonical_json, row_id
from wim.tables.schemas import Message, Prompt

FORM = "{question_id, category, turns, reference}"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question of one or more turns; `reference` has an answer to each, empty where none is."""

    question_id: str
    category: str
    turns: tuple[str, ...]
    reference: tuple[str, ...] = ()

    def references(self, turn: int) -> list[str]:
        """The reference answers to all turns up to one, counted from 1; none if one is missing."""
        found = [text for text in self.reference[:turn] if text]
        return found if len(found) == turn else []


def question_in(values: Mapping[str, Any]) -> Question | None:
    """The question in a row, None where it lacks an id or a turn.

    Under the names `prompt_id` and `prompt`, too, as data sets of the hub have them.
    """
    identity = values.get("question_id", values.get("prompt_id"))
    turns = texts_in(values.get("turns", values.get("prompt")))
    if identity is None or not turns or not all(turns):
        return None
    category = values.get("category")
    return Question(
        question_id=text_of_id(identity),
        category=category if isinstance(category, str) else "",
        turns=turns,
        reference=texts_in(values.get("reference")),
    )


def text_of_id(value: object) -> str:
    """An id as a text; 81 and 81.0 are one."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def texts_in(value: object) -> tuple[str, ...]:
    """The texts of a list, empty where it has null; none of anything else."""
    if not isinstance(value, list | tuple):
        return ()
    return tuple("" if each is None else clean_text(str(each)) for each in value)


def prompt_of(question: Question, split: str, source: str) -> Prompt:
    """The prompt that carries a question."""
    turns: list[Message] = [{"role": "user", "content": turn} for turn in question.turns]
    values = {
        "question_id": question.question_id,
        "category": question.category,
        "turns": list(question.turns),
        "reference": list(question.reference),
    }
    return Prompt(
        prompt_id=row_id(turns),
        messages=turns[:1],
        split=split,
        source=source,
        metadata=canonical_json(values),
    )


def question_of(prompt: Prompt) -> Question:
    """The question that a prompt carries."""
    values = json.loads(prompt.metadata or "{}")
    found = question_in(values)
    if found is None:
        raise ValueError(f"prompt {prompt.prompt_id} carries no question")
    return found
