"""Prompts, and a teacher's candidates for them, that a fine-tuning learns from."""

from typing import Any

from wim.provenance.digest import row_id
from wim.tables.schemas import Candidate, Prompt

QUESTIONS = [f"What is said about the number {number}?" for number in range(12)]


ANSWERS = ["Bread needs water, flour and time.", "The train leaves at noon."]


def prompt(place: int) -> Prompt:
    """Every fourth prompt is held out, and every third comes without a reference."""
    text = QUESTIONS[place]
    return Prompt(
        prompt_id=row_id(text),
        messages=[{"role": "user", "content": text}],
        split="train" if place % 4 else "eval",
        source="test",
        reference=f"Reference {place}." if place % 3 else None,
    )


def candidate(asked: Prompt, **changed: Any) -> Candidate:
    return Candidate(
        **{
            "candidate_id": row_id([asked.prompt_id, "teacher"]),
            "prompt_id": asked.prompt_id,
            "dialogue_id": asked.prompt_id,
            "turn": 1,
            "speaker": "actor",
            "sample": 0,
            "context": [{"role": "system", "content": "Be brief."}, *asked.messages],
            "completion": ANSWERS[int(asked.prompt_id[:8], 16) % 2],
            "continued": False,
            "finish_reason": "stop",
            "prompt_tokens": 9,
            "completion_tokens": 9,
            "seed": 0,
            "model_digest": "teacher",
            **changed,
        }
    )
