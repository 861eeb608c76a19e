"""Conversations judged as wholes: what came of a turn, in the place of the turn alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wim.tables.files import read_candidates, read_table
from wim.tables.schemas import DIALOGUES, Candidate, Message


def read_judged(dialogues: Path, conversations: bool = False) -> list[Candidate]:
    """The candidates that judges rate, as judges and encoders read them.

    conversations: with what came of each, as `whole_conversations` gives it.
    """
    if not conversations:
        return [Candidate(**row) for row in read_candidates(dialogues).to_pylist()]
    rows = read_table(dialogues, DIALOGUES).to_pylist()
    return whole_conversations([Candidate(**row) for row in rows])


def whole_conversations(rows: Sequence[Candidate]) -> list[Candidate]:
    """The judged candidates among the rows of dialogues, each with the conversation that came of it.

    Their context is then the conversation from its first message to its last, in which the
    candidate's speaker is the assistant, and their completion all that it said from the
    candidate on, a blank line between its turns.
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
