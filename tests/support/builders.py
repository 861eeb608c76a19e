"""Rows of the tables: what a test does not name has a default."""

from collections.abc import Mapping, Sequence
from pathlib import Path
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


def pair(**columns: Any) -> dict[str, Any]:
    """A row of a pair to train on, of the actor's own candidates, whose tokens are not known."""
    given = {"chosen": RESPONSE, "rejected": f"No. {RESPONSE}", "prompt": user(QUESTION), **columns}
    said = {
        side: [{"role": "assistant", "content": given[side]}]
        for side in ("chosen", "rejected")
        if isinstance(given[side], str)
    }
    defaults = {
        **{"prompt_id": "p", "split": "train", "chosen_id": "c", "rejected_id": "r"},
        **{"score_chosen": 1.0, "score_rejected": 0.0, "margin": 1.0},
        **{"chosen_model": "base", "rejected_model": "base", "judge": "j", "reward": "r"},
        **{"chosen_finish_reason": "stop", "rejected_finish_reason": "stop"},
    }
    return {**defaults, **given, **said}


def write_pairs(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a table of pairs."""
    import pyarrow as pa

    from wim.tables.files import write_table
    from wim.tables.schemas import PAIRS

    write_table(path, PAIRS, pa.Table.from_pylist([*rows], schema=PAIRS.schema))
    return path


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
