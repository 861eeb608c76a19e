"""Rows of the tables: what a test does not name has a default."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from wim.tables.schemas import Candidate, Message, Prompt, Rating, embeddings_table

QUESTION = "What did the press change?"
RESPONSE = (
    "The printing press made books cheap, so more people learned to read and new ideas spread "
    "quickly from town to town across the whole of Europe."
)
CRITIQUE = "The answer names no dates and does not mention Gutenberg or the Reformation."


def user(text: str) -> list[Message]:
    """A conversation of one message of the user's."""
    return [{"role": "user", "content": text}]


def prompt(prompt_id: str = "p", **columns: Any) -> Prompt:
    """A prompt to train on, without a reference."""
    defaults = {"messages": user(QUESTION), "split": "train", "source": "test"}
    return Prompt(**{"prompt_id": prompt_id, **defaults, **columns})


def candidate(candidate_id: str = "c", **columns: Any) -> Candidate:
    """The actor's first candidate for `prompt()`. Each prompt has a dialogue of its own."""
    defaults = {
        "prompt_id": "p",
        "dialogue_id": f"d-{columns.get('prompt_id', 'p')}",
        "turn": 1,
        "speaker": "actor",
        "sample": 0,
        "context": user(QUESTION),
        "completion": RESPONSE,
        "continued": False,
        "finish_reason": "stop",
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "seed": 0,
        "model_digest": "m",
    }
    return Candidate(**{"candidate_id": candidate_id, **defaults, **columns})


def rating(candidate_id: str = "c", **columns: Any) -> Rating:
    """A usable judgement of `candidate()`, by the judge `j`."""
    defaults = {
        "judge": "j",
        "status": "ok",
        "rating": 7,
        "rating_expected": 6.5,
        "wim": CRITIQUE,
        "nothing_missing_logprob": None,
        "raw": "raw",
        "attempts": 1,
        "tokens": 2,
        "judge_digest": "j",
    }
    return Rating(**{"candidate_id": candidate_id, **defaults, **columns})


def embeddings(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Embeddings by the judge `j`, of two components: response and critique are one vector."""
    defaults = {
        "judge": "j",
        "response_embedding": [1.0, 0.0],
        "wim_embedding": [1.0, 0.0],
        "response_truncated": False,
        "wim_truncated": False,
        "response_unknown": 0.0,
        "wim_unknown": 0.0,
        "encoder_digest": "e",
    }
    return pa.Table.from_pylist([defaults | row for row in rows], schema=embeddings_table(2).schema)
