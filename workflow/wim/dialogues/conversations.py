"""Candidates as judges read them: an answer, what was thought before it, or what followed it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wim.tables.files import read_candidates, read_table
from wim.tables.schemas import DIALOGUES, Candidate, Message


def read_judged(
    dialogues: Path, conversations: bool = False, reasoning: bool = False
) -> list[Candidate]:
    """The candidates that judges rate, as judges and encoders read them.

    Args:
        dialogues: A shard.
        conversations: Whether each candidate is read with what followed, by `whole_conversations`.
        reasoning: Whether each is read with what was thought before it, by `with_reasoning`.
    """
    if not conversations:
        found = [Candidate(**row) for row in read_candidates(dialogues).to_pylist()]
        return [with_reasoning(row) for row in found] if reasoning else found
    rows = read_table(dialogues, DIALOGUES).to_pylist()
    return whole_conversations([Candidate(**row) for row in rows])


def with_reasoning(row: Candidate) -> Candidate:
    """A candidate whose completion is what was thought and the answer; see `reasoned_answer`."""
    if not row.reasoning:
        return row
    both = reasoned_answer(row.reasoning, row.completion)
    return replace(row, completion=both, reasoning=None, tokens=None)


def reasoned_answer(reasoning: str | None, answer: str) -> str:
    """What was thought, if anything, and the answer, with a blank line between."""
    return f"{reasoning}\n\n{answer}" if reasoning else answer


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
        own = [each for each in turns if each.speaker == row.speaker]
        wholes.append(
            replace(
                row,
                context=[*row.context, *said],
                completion="\n\n".join(each.completion for each in own),
                finish_reason=own[-1].finish_reason if own else row.finish_reason,
                reasoning=None,
                tokens=None,
            )
        )
    return wholes
