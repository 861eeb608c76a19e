"""The reward gate: what every judge and reward is worth on pairs that people have labelled.

Labelled pairs pass through the same stages as dialogues, as those of a policy of their own
(`labelled`), so that what is measured is what labels.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from wim.digest import seed_of
from wim.errors import UserError
from wim.evaluation.judged_pairs import LabelledPair, longer_wins, of_scores
from wim.evaluation.llmbar import read_labelled_pairs
from wim.evaluation.statistics import Estimate, PairStatistics, pair_statistics
from wim.table_files import as_arrow, read_table, write_table
from wim.tables import DIALOGUES, REWARDS

logger = logging.getLogger(__name__)
LONGER = "(longer response)"
SHOWN = 2
COLUMNS = {
    "accuracy": "accuracy",
    "ties": "tie_rate",
    "better is shorter": "better_is_shorter",
    "better is longer": "better_is_longer",
}


def write_labelled(pairs: Path, outputs: Sequence[Path]) -> None:
    """The responses of labelled pairs as dialogues tables, shared out to shards by the pair's hash.

    Raises UserError, with file and row, for a file that is not in LLMBar's format.
    """
    shards: list[list[LabelledPair]] = [[] for _ in outputs]
    for pair in read_labelled_pairs(pairs):
        shards[int(pair.pair_id[:8], 16) % len(outputs)].append(pair)
    for output, shard in zip(outputs, shards, strict=True):
        rows = [candidate for pair in shard for candidate in pair.candidates]
        write_table(output, DIALOGUES, as_arrow(DIALOGUES, rows))
    logger.info("gate: %d labelled pairs in %d shards", sum(map(len, shards)), len(shards))


def measure(pairs: Sequence[LabelledPair], rewards: Path, seed: int) -> PairStatistics:
    """The statistics of a reward, whose table has the pairs' responses."""
    table = read_table(rewards, REWARDS, ["candidate_id", "status", "reward"])
    scored = {row["candidate_id"]: row for row in table.to_pylist()}
    verdicts = []
    for pair in pairs:
        a, b = (scored[each.candidate_id] for each in pair.candidates)
        statuses = (a["status"], b["status"])
        verdicts.append(of_scores(pair.pair_id, (a["reward"], b["reward"]), statuses))
    return pair_statistics(pairs, verdicts, seed)


def write_gate(
    pairs: Path, rewards: Mapping[str, Path], seed: int, table: Path, text: Path, figure: Path
) -> None:
    """Measure every reward, beside preferring the longer response; print one row for each.

    table: all figures as JSON. text: the rows in Markdown. figure: accuracies with intervals.
    """
    from wim.evaluation.gate_figure import draw_accuracies

    labelled = read_labelled_pairs(pairs)
    drawn = seed_of(seed, "gate")
    measured = {name: measure(labelled, path, drawn) for name, path in rewards.items()}
    measured[LONGER] = pair_statistics(labelled, longer_wins(labelled), drawn)
    told = {name: asdict(statistics) for name, statistics in measured.items()}
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    lines = list(_lines(pairs.name, measured))
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw_accuracies({name: each.accuracy for name, each in measured.items()}, figure)
    for line in lines:
        logger.info("%s", line)


def check_bar(table: Path, reward: str, bar: float, output: Path) -> None:
    """Write a note that a reward passed; UserError, with the reason, if it does not beat the bar."""
    accuracy = json.loads(table.read_text(encoding="utf-8"))[reward]["accuracy"]
    if accuracy["low"] is None or accuracy["low"] <= bar:
        found = (
            "no pair could be judged"
            if accuracy["value"] is None
            else f"its accuracy is {_shown(Estimate(**accuracy))}"
        )
        raise UserError(
            f"{table}: the reward '{reward}' does not beat gate.bar {bar}: {found} over "
            f"{accuracy['n']} judged pairs. Its arms are not trained: choose another reward or "
            "judge, or lower gate.bar if you want to train all the same."
        )
    output.write_text(f"{reward} is above {bar}\n", encoding="utf-8")


def _lines(name: str, measured: Mapping[str, PairStatistics]) -> list[str]:
    any_of = next(iter(measured.values()))
    chance = any_of.chance
    lines = [
        f"# Rewards against people: {name}",
        "",
        f"{any_of.pairs} labelled pairs; intervals are of 95 %. A coin on {chance.n} pairs stays "
        f"within {_number(chance.low)} to {_number(chance.high)}.",
        "",
        "| reward | judged | " + " | ".join(COLUMNS) + " | statuses |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for reward, one in measured.items():
        cells = [_shown(getattr(one, field)) for field in COLUMNS.values()]
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(one.statuses.items()))
        lines.append(f"| {reward} | {one.judged} | {' | '.join(cells)} | {statuses} |")
    return lines


def _shown(one: Estimate) -> str:
    if one.value is None:
        return "none"
    return f"{_number(one.value)} [{_number(one.low)}, {_number(one.high)}]"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.{SHOWN}f}"
