"""What judges and rewards say of labelled pairs, from the tables of the workflow's stages."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from wim.evaluation.judged_pairs import (
    LabelledPair,
    PairJudgement,
    of_comparison,
    of_scores,
)
from wim.judging.pairwise import pair_id_of
from wim.tables.files import read_table, read_tables
from wim.tables.schemas import COMPARISONS, REWARDS, Candidate, Comparison

# In front of the name of a judge of pairs; no reward's name has a slash.
PAIRS_BY = "pairs/"


def distinct_responses(pairs: Iterable[LabelledPair]) -> list[Candidate]:
    """Each response of pairs once, in the dialogue of its first pair by id."""
    found: dict[str, Candidate] = {}
    for pair in sorted(pairs, key=lambda pair: pair.pair_id):
        for candidate in pair.candidates:
            found.setdefault(candidate.candidate_id, candidate)
    return list(found.values())


def distinct_pairs(pairs: Iterable[LabelledPair]) -> list[LabelledPair]:
    """Each pair of responses once, for judges of pairs."""
    found: dict[tuple[str, ...], LabelledPair] = {}
    for pair in pairs:
        found.setdefault(tuple(each.candidate_id for each in pair.candidates), pair)
    return list(found.values())


def judged_by_reward(pairs: Sequence[LabelledPair], rewards: Path) -> list[PairJudgement]:
    """A reward's judgements of the pairs whose responses are in its table."""
    table = read_table(rewards, REWARDS, ["candidate_id", "status", "reward"])
    scored = {row["candidate_id"]: row for row in table.to_pylist()}
    judgements = []
    for pair in pairs:
        a, b = (scored.get(each.candidate_id) for each in pair.candidates)
        if a and b:
            of_pair = (a["reward"], b["reward"])
            calls = (a["candidate_id"], b["candidate_id"])
            statuses = (a["status"], b["status"])
            judgements.append(of_scores(pair.pair_id, of_pair, statuses, calls))
    return judgements


def judged_in_pairs(
    pairs: Sequence[LabelledPair], comparisons: Sequence[Path]
) -> list[PairJudgement]:
    """A judge of pairs' judgements of the pairs; its tables have all of them."""
    rows = read_tables(comparisons, COMPARISONS).to_pylist()
    of = {row["pair_id"]: of_comparison(Comparison(**row)) for row in rows}
    found = []
    for pair in pairs:
        a, b = pair.candidates
        name = pair_id_of(a.candidate_id, b.candidate_id)
        judgement = of[name]
        calls = tuple(f"{name}/{order}" for order, _ in enumerate(judgement.statuses))
        found.append(replace(judgement, pair_id=pair.pair_id, calls=calls))
    return found


def judgements_by_name(
    pairs: Sequence[LabelledPair],
    rewards: Sequence[str],
    tables: Sequence[str],
    judges: Sequence[str],
    comparisons: Sequence[str],
) -> dict[str, list[PairJudgement]]:
    """The judgements of rewards by name, and of judges of pairs by PAIRS_BY and theirs.

    Args:
        pairs: The labelled pairs.
        rewards: The names of the rewards.
        tables: The table of each.
        judges: The names of the judges of pairs.
        comparisons: Their shards, judge by judge.
    """
    found = {
        name: judged_by_reward(pairs, Path(table))
        for name, table in zip(rewards, tables, strict=True)
    }
    shards = len(comparisons) // max(1, len(judges))
    for place, judge in enumerate(judges):
        own = [Path(path) for path in comparisons[place * shards : (place + 1) * shards]]
        found[f"{PAIRS_BY}{judge}"] = judged_in_pairs(pairs, own)
    return found
