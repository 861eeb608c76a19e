"""Conversations judged as a whole: a turn together with what followed it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wim.tables.files import read_candidates, read_table
from wim.tables.schemas import DIALOGUES, Candidate, Message


def read_judged(dialogues: Path, conversations: bool = False) -> list[Candidate]:
    """The candidates that judges rate, as judges and encoders read them.

    Args:
        dialogues: A shard.
        conversations: Whether each candidate is read with what followed, by `whole_conversations`.
    """
    if not conversations:
        return [Candidate(**row) for row in read_candidates(dialogues).to_pylist()]
    rows = read_table(dialogues, DIALOGUES).to_pylist()
    return whole_conversations([Candidate(**row) for row in rows])


def whole_conversations(rows: Sequence[Candidate]) -> list[Candidate]:
    """The judged candidates among the rows of dialogues, each with the conversation that followed.

    A candidate's context is then the conversation from its first message to its last, in which
    the candidate's speaker is the assistant; its completion is everything that the speaker said
    from the candidate on, with a blank line between turns.
    """
    by_sample: dict[tuple[str, int], list[Candidate]] = {}
    for row in sorted(rows, key=lambda row: row.turn):
        by_sample.setdefault((row.dialogue_id, row.sample), []).append(row)
    wholes = []
    for row in rows:
        if not row.judged:
            continue
        line = by_sample[row.dialogue_id, row.sample]
        turns = [each for each in line if each.turn >= row.turn and each.completion.strip()]
        said: list[Message] = [
            {
                "role": "assistant" if each.speaker == row.speaker else "user",
                "content": each.completion,
            }
            for each in turns
        ]
        own = [each["content"] for each in said if each["role"] == "assistant"]
        wholes.append(replace(row, context=[*row.context, *said], completion="\n\n".join(own)))
    return wholes
