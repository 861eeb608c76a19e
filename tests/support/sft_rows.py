"""Prompts, and a teacher's candidates for them, that a fine-tuning learns from."""

from typing import Any

from support.builders import candidate, prompt, user
from wim.provenance.digest import row_id
from wim.tables.schemas import Candidate, Prompt

QUESTIONS = [f"What is said about the number {number}?" for number in range(12)]


ANSWERS = ["Bread needs water, flour and time.", "The train leaves at noon."]


def sft_prompt(place: int) -> Prompt:
    """Every fourth prompt is held out, and every third comes without a reference."""
    text = QUESTIONS[place]
    return prompt(
        row_id(text),
        messages=user(text),
        split="train" if place % 4 else "eval",
        reference=f"Reference {place}." if place % 3 else None,
    )


def sft_candidate(asked: Prompt, **changed: Any) -> Candidate:
    """The teacher's answer to a prompt, after a system message."""
    columns = {
        "prompt_id": asked.prompt_id,
        "context": [{"role": "system", "content": "Be brief."}, *asked.messages],
        "completion": ANSWERS[int(asked.prompt_id[:8], 16) % 2],
    }
    return candidate(row_id([asked.prompt_id, "teacher"]), **{**columns, **changed})
