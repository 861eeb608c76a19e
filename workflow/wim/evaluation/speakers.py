"""The answers of an evaluation's speakers, and what was said of each beside the reference's."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wim.evaluation.compared.outcomes import Outcome, outcome_of, tie
from wim.evaluation.judged_pairs import of_comparison, of_scores
from wim.judging.pairwise import pair_id_of
from wim.tables.files import read_table, read_tables
from wim.tables.schemas import COMPARISONS, DIALOGUES, REWARDS, Comparison

CATEGORY_COLUMNS = ("category", "dataset")


@dataclass(frozen=True)
class Answer:
    """A speaker's answer to a prompt, by the candidate that it is."""

    candidate_id: str
    text: str
    tokens: int


@dataclass(frozen=True)
class Scored:
    """A candidate's reward, None where the judgement failed, and its status."""

    reward: float | None
    status: str


Answers = Mapping[str, Answer]


def answers_of_speakers(
    paths: Sequence[str], speakers: Sequence[str], dropped: Collection[str] = ()
) -> dict[str, Answers]:
    """The answers by speaker and prompt.

    Args:
        paths: The dialogues of each speaker, all shards, speaker by speaker.
        speakers: Their names.
        dropped: Prompts to leave out.
    """
    shards = len(paths) // len(speakers)
    return {
        speaker: _answers(paths[place * shards : (place + 1) * shards], dropped)
        for place, speaker in enumerate(speakers)
    }


def judged_outcomes(
    comparisons: Sequence[str], speakers: Sequence[str], answers: Mapping[str, Answers]
) -> dict[str, list[Outcome]]:
    """The outcomes of each speaker, as the judge of pairs found them."""
    reference, *others = speakers
    shards = len(comparisons) // max(1, len(others))
    found = {}
    for place, speaker in enumerate(others):
        rows = table_rows(comparisons[place * shards : (place + 1) * shards], COMPARISONS)
        judgements = {row["pair_id"]: of_comparison(Comparison(**row)) for row in rows}
        found[speaker] = [
            outcome
            or outcome_of(
                judgements[pair_id_of(own.candidate_id, other.candidate_id)],
                prompt,
                (len(own.text), len(other.text)),
            )
            for prompt, own, other, outcome in _both(answers[speaker], answers[reference])
        ]
    return found


def scored_outcomes(
    tables: Sequence[str], speakers: Sequence[str], answers: Mapping[str, Answers]
) -> dict[str, list[Outcome]]:
    """The outcomes of each speaker, where the larger reward wins."""
    rewards = [rewards_by_candidate(path) for path in tables]
    found = {}
    for speaker, of_speaker in zip(speakers[1:], rewards[1:], strict=True):
        found[speaker] = [
            outcome or _larger(prompt, (own, other), (of_speaker, rewards[0]))
            for prompt, own, other, outcome in _both(answers[speaker], answers[speakers[0]])
        ]
    return found


def of_categories(
    outcomes: Mapping[str, Sequence[Outcome]], prompts: Sequence[Mapping[str, Any]]
) -> dict[str, list[Outcome]]:
    """The outcomes with the categories of their prompts.

    A category is the text of the column `category` of the prompt's file, or else of `dataset`, as
    Arena-Hard's and AlpacaEval's files have them.
    """
    categories = {row["prompt_id"]: _category(row["metadata"]) for row in prompts}
    return {
        speaker: [replace(one, category=categories[one.prompt_id]) for one in of]
        for speaker, of in outcomes.items()
    }


def _category(metadata: str | None) -> str | None:
    values = json.loads(metadata or "{}")
    named = (values.get(column) for column in CATEGORY_COLUMNS)
    return next((name for name in named if isinstance(name, str) and name.strip()), None)


def _larger(
    prompt: str,
    pair: tuple[Answer, Answer],
    rewards: tuple[Mapping[str, Scored], Mapping[str, Scored]],
) -> Outcome:
    """The outcome of two answers by their rewards."""
    a, b = (of[answer.candidate_id] for of, answer in zip(rewards, pair, strict=True))
    judgement = of_scores(prompt, (a.reward, b.reward), (a.status, b.status))
    return outcome_of(judgement, prompt, (len(pair[0].text), len(pair[1].text)), one_by_one=True)


def compared_pairs(own: Answers, reference: Answers) -> list[tuple[str, Answer, Answer]]:
    """The prompts that both answered, with the two answers."""
    return [
        (prompt, own[prompt], reference[prompt]) for prompt in sorted(own.keys() & reference.keys())
    ]


def _both(own: Answers, reference: Answers) -> list[tuple[str, Answer, Answer, Outcome | None]]:
    """The prompts that both answered, with the two answers; equal ones are a tie unasked."""
    return [
        (prompt, a, b, tie(prompt, len(a.text)) if a.text == b.text else None)
        for prompt, a, b in compared_pairs(own, reference)
    ]


def rewards_by_candidate(path: str) -> dict[str, Scored]:
    """The rewards of a table."""
    rows = read_table(Path(path), REWARDS, ["candidate_id", "status", "reward"]).to_pylist()
    return {row["candidate_id"]: Scored(row["reward"], row["status"]) for row in rows}


def _answers(paths: Sequence[str], dropped: Collection[str]) -> dict[str, Answer]:
    columns = ["candidate_id", "prompt_id", "completion", "judged", "completion_tokens"]
    return {
        row["prompt_id"]: Answer(row["candidate_id"], row["completion"], row["completion_tokens"])
        for row in table_rows(paths, DIALOGUES, columns)
        # What never came to an answer is none, and nobody judges it.
        if row["judged"] and row["prompt_id"] not in dropped
    }


def table_rows(
    paths: Sequence[str], table: Any, columns: list[str] | None = None
) -> list[dict[str, Any]]:
    """The rows of several shards."""
    found = read_tables([Path(path) for path in paths], table, columns)
    return found.to_pylist()  # type: ignore[no-any-return]
