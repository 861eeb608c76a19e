"""The reward gate: how well every judge and reward agrees with people on labelled pairs.

Labelled pairs pass through the same stages as dialogues, as those of a policy named `labelled`
(`retest` for those that are judged again): what is measured is exactly what labels the arms.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from wim.display.json_files import read_json, write_json
from wim.display.markdown import estimate_with_interval
from wim.embedding.reading import TextsRead, embeddings_read
from wim.errors import UserError
from wim.evaluation.gate_text import LONGER, PAIRS_BY, Retest, gate_text
from wim.evaluation.judged_pairs import (
    LabelledPair,
    PairJudgement,
    longer_wins,
    of_comparison,
    of_scores,
)
from wim.evaluation.llmbar import read_labelled_pairs
from wim.evaluation.pair_statistics import pair_statistics, stability
from wim.judging.pairwise import pair_id_of
from wim.provenance.digest import SEED_BITS, seed_of
from wim.statistics import Estimate, rank_correlation
from wim.tables.files import as_arrow, read_table, read_tables, write_table
from wim.tables.schemas import COMPARISONS, DIALOGUES, REWARDS, Comparison

logger = logging.getLogger(__name__)


class GateInputs(Protocol):
    """What the gate reads.

    Attributes:
        pairs: The labelled pairs, in LLMBar's format.
        rewards: The table of each reward.
        again: The same rewards' tables of the pairs that were judged again; empty if none were.
        comparisons: The shards of each judge of pairs, judge by judge.
        embeddings: <judge>/<shard>.parquet, of the judges whose rewards are made of them.
    """

    pairs: str
    rewards: Sequence[str]
    again: Sequence[str]
    comparisons: Sequence[str]
    embeddings: Sequence[str]


class GateFiles(Protocol):
    """Where the gate's figures go: JSON, Markdown and an SVG figure."""

    table: str
    text: str
    figure: str


def label_dialogues(
    pairs: Path, outputs: Sequence[Path], share: float = 1.0, seed: int = 0
) -> None:
    """Write the responses of labelled pairs as dialogues tables, in shards by the pair's hash.

    Args:
        pairs: The labelled pairs.
        outputs: A file for each shard.
        share: The share of the pairs to take, sampled by seed.
        seed: The run's.

    Raises:
        UserError: With file and row, for a file that is not in LLMBar's format.
    """
    shards: list[list[LabelledPair]] = [[] for _ in outputs]
    for pair in read_labelled_pairs(pairs):
        if seed_of(seed, "retest", pair.pair_id) < share * 2**SEED_BITS:
            shards[int(pair.pair_id[:8], 16) % len(outputs)].append(pair)
    for output, shard in zip(outputs, shards, strict=True):
        rows = [candidate for pair in shard for candidate in pair.candidates]
        write_table(output, DIALOGUES, as_arrow(DIALOGUES, rows))
    logger.info("gate: %d labelled pairs in %d shards", sum(map(len, shards)), len(shards))


def judged_by_reward(pairs: Sequence[LabelledPair], rewards: Path) -> list[PairJudgement]:
    """A reward's judgements of the pairs whose responses are in its table."""
    table = read_table(rewards, REWARDS, ["candidate_id", "status", "reward"])
    scored = {row["candidate_id"]: row for row in table.to_pylist()}
    judgements = []
    for pair in pairs:
        a, b = (scored.get(each.candidate_id) for each in pair.candidates)
        if a and b:
            statuses = (a["status"], b["status"])
            rewards_of = (a["reward"], b["reward"])
            calls = (a["candidate_id"], b["candidate_id"])
            judgements.append(of_scores(pair.pair_id, rewards_of, statuses, calls))
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
        judgement = of[pair_id_of(a.candidate_id, b.candidate_id)]
        found.append(replace(judgement, pair_id=pair.pair_id))
    return found


def retested(pairs: Sequence[LabelledPair], rewards: Path, again: Path) -> Retest:
    """How far a reward agrees with itself on the pairs that its judge was queried on again."""
    runs = [judged_by_reward(pairs, path) for path in (rewards, again)]
    tables = [read_table(path, REWARDS, ["candidate_id", "reward"]) for path in (rewards, again)]
    first, second = (
        {row["candidate_id"]: row["reward"] for row in table.to_pylist()} for table in tables
    )
    both = [name for name in second if None not in (first.get(name), second[name])]
    values, others = ([scores[name] for name in both] for scores in (first, second))
    prompts = {pair.pair_id: pair.prompt for pair in pairs}
    return Retest(stability(runs, prompts), rank_correlation(values, others))


def reward_gate(
    inputs: GateInputs,
    rewards: Sequence[str],
    judges: Sequence[str],
    seed: int,
    output: GateFiles,
) -> None:
    """Measure every reward and judge of pairs, and preferring the longer response for comparison.

    Args:
        inputs: The labelled pairs and what was said of them.
        rewards: The names of the rewards, in the order of their tables.
        judges: The names of the judges of pairs, in the order of their shards.
        seed: The run's.
        output: Where the figures go: JSON, Markdown (which is logged too), accuracies as SVG.
    """
    from wim.evaluation.gate_figure import draw_accuracies

    pairs = Path(inputs.pairs)
    labelled = read_labelled_pairs(pairs)
    tables = list(map(Path, inputs.rewards))
    judgements = {
        name: judged_by_reward(labelled, table) for name, table in zip(rewards, tables, strict=True)
    }
    comparisons = list(map(Path, inputs.comparisons))
    shards = len(comparisons) // max(1, len(judges))
    for place, judge in enumerate(judges):
        own = comparisons[place * shards : (place + 1) * shards]
        judgements[f"{PAIRS_BY}{judge}"] = judged_in_pairs(labelled, own)
    judgements[LONGER] = longer_wins(labelled)
    measured = {name: pair_statistics(labelled, each) for name, each in judgements.items()}
    repeated = {
        name: retested(labelled, first, second)
        for name, first, second in zip(rewards, tables, map(Path, inputs.again), strict=False)
    }
    figures = {name: asdict(statistics) for name, statistics in measured.items()}
    for name, one in repeated.items():
        figures[name]["retest"] = asdict(one)
    encoded = _encoded(map(Path, inputs.embeddings))
    for name, table in zip(rewards, tables, strict=True):
        read = encoded.get(_judge_of_cosines(table), {})
        if read:
            figures[name]["encoder"] = {texts: asdict(one) for texts, one in read.items()}
    text = gate_text(pairs.name, measured, repeated, encoded)
    write_json(output.table, figures)
    Path(output.text).write_text(text, encoding="utf-8")
    draw_accuracies({name: each.accuracy for name, each in measured.items()}, Path(output.figure))
    for line in text.splitlines():
        logger.info("%s", line)


def _encoded(embeddings: Iterable[Path]) -> dict[str, dict[str, TextsRead]]:
    """How the encoder reads the responses and critiques of each judge, by its shards' folder."""
    shards: dict[str, list[Path]] = {}
    for path in embeddings:
        shards.setdefault(path.parent.name, []).append(path)
    return {judge: embeddings_read(paths) for judge, paths in shards.items()}


def _judge_of_cosines(rewards: Path) -> str:
    """The judge of a reward that has cosines; "" for one that has none."""
    table = read_table(rewards, REWARDS, ["judge", "cosine"]).drop_null()
    return table["judge"][0].as_py() if len(table) else ""


def check_bar(table: Path, measured: str, bar: float, output: Path) -> None:
    """Write a note that a reward's accuracy on labelled pairs beats gate.bar.

    Args:
        table: The gate's figures.
        measured: The reward, or `pairs/` with the name of a judge of pairs.
        bar: What the lower end of the accuracy's interval must exceed.
        output: The note.

    Raises:
        UserError: With the reason, if the accuracy does not beat the bar.
    """
    figures: Mapping[str, Mapping[str, float | int | None]]
    figures = read_json(table)[measured]
    accuracy = Estimate(**figures["accuracy"])  # type: ignore[arg-type]
    if accuracy.low is None or accuracy.low <= bar:
        found = (
            "no pair could be judged"
            if accuracy.value is None
            else f"its accuracy is {estimate_with_interval(accuracy)}"
        )
        kind = "judge" if measured.startswith(PAIRS_BY) else "reward"
        raise UserError(
            f"{table}: the {kind} '{measured}' does not beat gate.bar {bar}: {found} over "
            f"{accuracy.n} judged pairs. Its arms are not trained: choose another reward or "
            "judge, or lower gate.bar to train anyway."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"{measured} is above {bar}\n", encoding="utf-8")
