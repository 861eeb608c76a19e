"""The reward gate: what every judge and reward is worth on pairs that people have labelled.

Labelled pairs pass through the same stages as dialogues, as those of a policy of their own
(`labelled`, and `retest` for those that are judged again), so that what is measured is what labels.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from wim.errors import UserError
from wim.evaluation.gate_text import LONGER, PAIRS_BY, Retest, gate_lines, shown
from wim.evaluation.judged_pairs import (
    LabelledPair,
    PairJudgement,
    longer_wins,
    of_comparison,
    of_scores,
)
from wim.evaluation.llmbar import read_labelled_pairs
from wim.evaluation.pair_statistics import (
    Estimate,
    pair_statistics,
    rank_correlation,
    stability,
)
from wim.judging.compare import pair_id_of
from wim.provenance.digest import seed_of
from wim.tables.files import as_arrow, read_table, read_tables, write_table
from wim.tables.schemas import COMPARISONS, DIALOGUES, REWARDS, Comparison

logger = logging.getLogger(__name__)
SEEDS = 2**60


def label_dialogues(
    pairs: Path, outputs: Sequence[Path], share: float = 1.0, seed: int = 0
) -> None:
    """The responses of labelled pairs as dialogues tables, shared out to shards by the pair's hash.

    share: of the pairs, drawn by seed. Raises UserError, with file and row, for a file that is not
    in LLMBar's format.
    """
    shards: list[list[LabelledPair]] = [[] for _ in outputs]
    for pair in read_labelled_pairs(pairs):
        if seed_of(seed, "retest", pair.pair_id) < share * SEEDS:
            shards[int(pair.pair_id[:8], 16) % len(outputs)].append(pair)
    for output, shard in zip(outputs, shards, strict=True):
        rows = [candidate for pair in shard for candidate in pair.candidates]
        write_table(output, DIALOGUES, as_arrow(DIALOGUES, rows))
    logger.info("gate: %d labelled pairs in %d shards", sum(map(len, shards)), len(shards))


def judged_by_reward(pairs: Sequence[LabelledPair], rewards: Path) -> list[PairJudgement]:
    """What a reward says of those pairs whose responses are in its table."""
    table = read_table(rewards, REWARDS, ["candidate_id", "status", "reward"])
    scored = {row["candidate_id"]: row for row in table.to_pylist()}
    verdicts = []
    for pair in pairs:
        a, b = (scored.get(each.candidate_id) for each in pair.candidates)
        if a and b:
            statuses = (a["status"], b["status"])
            verdicts.append(of_scores(pair.pair_id, (a["reward"], b["reward"]), statuses))
    return verdicts


def judged_in_pairs(
    pairs: Sequence[LabelledPair], comparisons: Sequence[Path]
) -> list[PairJudgement]:
    """What a judge of pairs says of the pairs, which its tables have."""
    rows = read_tables(comparisons, COMPARISONS).to_pylist()
    of = {row["pair_id"]: of_comparison(Comparison(**row)) for row in rows}
    found = []
    for pair in pairs:
        a, b = pair.candidates
        judgement = of[pair_id_of(a.candidate_id, b.candidate_id)]
        found.append(replace(judgement, pair_id=pair.pair_id))
    return found


def retested(pairs: Sequence[LabelledPair], rewards: Path, again: Path, seed: int) -> Retest:
    """How far a reward repeats itself where its judge was asked again."""
    runs = [judged_by_reward(pairs, path) for path in (rewards, again)]
    tables = [read_table(path, REWARDS, ["candidate_id", "reward"]) for path in (rewards, again)]
    first, second = (
        {row["candidate_id"]: row["reward"] for row in table.to_pylist()} for table in tables
    )
    both = [name for name in second if None not in (first.get(name), second[name])]
    values, others = ([scores[name] for name in both] for scores in (first, second))
    return Retest(stability(runs, seed), rank_correlation(values, others))


def reward_gate(
    pairs: Path,
    names: Sequence[str],
    rewards: Sequence[Path],
    again: Sequence[Path],
    judges: Sequence[str],
    comparisons: Sequence[Path],
    seed: int,
    table: Path,
    text: Path,
    figure: Path,
) -> None:
    """Measure every reward and judge of pairs, beside preferring the longer response.

    again: the rewards' tables of the pairs that were judged again, if any were. comparisons: the
    shards of each judge, judge by judge. table: all figures as JSON. text: the rows in Markdown,
    which are printed too. figure: accuracies with intervals.
    """
    from wim.evaluation.gate_figure import draw_accuracies

    labelled = read_labelled_pairs(pairs)
    drawn = seed_of(seed, "gate")
    verdicts = {
        name: judged_by_reward(labelled, path) for name, path in zip(names, rewards, strict=True)
    }
    shards = len(comparisons) // max(1, len(judges))
    for place, judge in enumerate(judges):
        own = comparisons[place * shards : (place + 1) * shards]
        verdicts[f"{PAIRS_BY}{judge}"] = judged_in_pairs(labelled, own)
    verdicts[LONGER] = longer_wins(labelled)
    measured = {name: pair_statistics(labelled, each, drawn) for name, each in verdicts.items()}
    repeated = {
        name: retested(labelled, first, second, drawn)
        for name, first, second in zip(names, rewards, again, strict=False)
    }
    told = {name: asdict(statistics) for name, statistics in measured.items()}
    for name, one in repeated.items():
        told[name]["retest"] = asdict(one)
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    lines = list(gate_lines(pairs.name, measured, repeated))
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw_accuracies({name: each.accuracy for name, each in measured.items()}, figure)
    for line in lines:
        logger.info("%s", line)


def check_bar(table: Path, measured: str, bar: float, output: Path) -> None:
    """Write a note that a reward passed; UserError, with the reason, if it does not beat the bar.

    measured: the reward, or `pairs/` with the name of a judge of pairs.
    """
    told: Mapping[str, Mapping[str, float | int | None]]
    told = json.loads(table.read_text(encoding="utf-8"))[measured]
    accuracy = Estimate(**told["accuracy"])  # type: ignore[arg-type]
    if accuracy.low is None or accuracy.low <= bar:
        found = (
            "no pair could be judged"
            if accuracy.value is None
            else f"its accuracy is {shown(accuracy)}"
        )
        kind = "judge" if measured.startswith(PAIRS_BY) else "reward"
        raise UserError(
            f"{table}: the {kind} '{measured}' does not beat gate.bar {bar}: {found} over "
            f"{accuracy.n} judged pairs. Its arms are not trained: choose another reward or "
            "judge, or lower gate.bar if you want to train all the same."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"{measured} is above {bar}\n", encoding="utf-8")
