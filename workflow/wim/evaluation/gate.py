"""The reward gate: how well every judge and reward agrees with the labels of pairs.

Labelled pairs pass through the same stages as dialogues, as those of a policy named `labelled`
(`labelled_pairs` for judges of pairs, `retest` for those that are judged again): what is measured is
exactly what labels the arms.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from wim.display.json_files import read_json, write_json
from wim.display.markdown import estimate_with_interval
from wim.embedding.reading import TextsRead, embeddings_read
from wim.errors import UserError
from wim.evaluation.agreement import annotators_of
from wim.evaluation.gate_text import ANNOTATORS, LONGER, Retest, gate_text, mostly_unread
from wim.evaluation.judged_pairs import LabelledPair, longer_wins
from wim.evaluation.labelled_judgements import (
    PAIRS_BY,
    distinct_pairs,
    distinct_responses,
    judged_by_reward,
    judgements_by_name,
)
from wim.evaluation.labels.read import read_labels
from wim.evaluation.pair_statistics import pair_statistics, stability
from wim.provenance.digest import SEED_BITS, seed_of
from wim.settings.sampled_judges import judge_of_sample
from wim.statistics import Estimate, rank_correlation
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import DIALOGUES, REWARDS, Candidate

logger = logging.getLogger(__name__)


class GateInputs(Protocol):
    """What the gate reads.

    Attributes:
        pairs: The files of labelled pairs.
        rewards: The table of each reward.
        again: The same rewards' tables of the pairs that were judged again; empty if none were.
        comparisons: The shards of each judge of pairs, judge by judge.
        embeddings: <judge>/<shard>.parquet, of the judges whose rewards are made of them, and
            <judge>~<sample>/<shard>.parquet.
    """

    pairs: Sequence[str]
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
    pairs: Sequence[Path],
    outputs: Sequence[Path],
    share: float = 1.0,
    seed: int = 0,
    paired: bool = False,
    form: str | None = None,
) -> None:
    """Write the responses of labelled pairs as dialogues tables, in shards by the pair's hash.

    Args:
        pairs: The files of labelled pairs.
        outputs: A file for each shard.
        share: The share of the pairs to take, sampled by seed.
        seed: The run's.
        paired: Whether each pair is a dialogue with both of its responses, for judges of pairs;
            else each response is there once, in the dialogue of one of its pairs.
        form: That of the files, where it is given.

    Raises:
        UserError: With file and row, for a file that is not of its form.
    """
    taken = [
        pair
        for pair in read_labels(pairs, form)
        if seed_of(seed, "retest", pair.pair_id) < share * 2**SEED_BITS
    ]
    candidates = (
        [candidate for pair in distinct_pairs(taken) for candidate in pair.candidates]
        if paired
        else distinct_responses(taken)
    )
    shards: list[list[Candidate]] = [[] for _ in outputs]
    for candidate in candidates:
        shards[int(candidate.dialogue_id[:8], 16) % len(outputs)].append(candidate)
    for output, rows in zip(outputs, shards, strict=True):
        write_table(output, DIALOGUES, as_arrow(DIALOGUES, rows))
    logger.info(
        "gate: %d labelled pairs, %d responses in %d shards",
        len(taken),
        len(candidates),
        len(shards),
    )


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
    output: GateFiles,
    labelled_by: str | None = None,
    form: str | None = None,
    without_cosines: Sequence[str] = (),
) -> None:
    """Measure every reward and judge of pairs, and preferring the longer response for comparison.

    Args:
        inputs: The labelled pairs and what was said of them.
        rewards: The names of the rewards, in the order of their tables.
        judges: The names of the judges of pairs, in the order of their shards.
        output: Where the figures go: JSON, Markdown (which is logged too), accuracies as SVG.
        labelled_by: Who gave the labels, in words; None names their files.
        form: That of the files of labelled pairs, where it is given.
        without_cosines: The rewards that are made of embeddings, and whose tables do not show it.
    """
    from wim.evaluation.gate_figure import draw_accuracies

    files = list(map(Path, inputs.pairs))
    labelled = read_labels(files, form)
    judgements = judgements_by_name(labelled, rewards, inputs.rewards, judges, inputs.comparisons)
    judgements[LONGER] = longer_wins(labelled)
    measured = {name: pair_statistics(labelled, each) for name, each in judgements.items()}
    tables = list(map(Path, inputs.rewards))
    repeated = {
        name: retested(labelled, first, second)
        for name, first, second in zip(rewards, tables, map(Path, inputs.again), strict=False)
    }
    figures = {name: asdict(statistics) for name, statistics in measured.items()}
    for name, one in repeated.items():
        figures[name]["retest"] = asdict(one)
    encoded = _encoded(map(Path, inputs.embeddings))
    unread = []
    for name, table in zip(rewards, tables, strict=True):
        read = encoded.get(_judge_of_embeddings(table, name in without_cosines), {})
        if read:
            figures[name]["encoder"] = {texts: asdict(one) for texts, one in read.items()}
        if any(mostly_unread(one) for one in read.values()):
            unread.append(name)
    annotators = annotators_of(labelled)
    if annotators:
        figures[ANNOTATORS] = asdict(annotators)
    text = gate_text(
        of=labelled_by or ", ".join(path.name for path in files),
        measured=measured,
        repeated=repeated,
        encoded=encoded,
        unread=unread,
        annotators=annotators,
    )
    write_json(output.table, figures)
    Path(output.text).write_text(text, encoding="utf-8")
    draw_accuracies({name: each.accuracy for name, each in measured.items()}, Path(output.figure))
    for line in text.splitlines():
        logger.info("%s", line)


def _encoded(embeddings: Iterable[Path]) -> dict[str, dict[str, TextsRead]]:
    """How the encoder reads the responses and critiques of each judge, of all its samples."""
    shards: dict[str, list[Path]] = {}
    for path in embeddings:
        shards.setdefault(judge_of_sample(path.parent.name), []).append(path)
    return {judge: embeddings_read(paths) for judge, paths in shards.items()}


def _judge_of_embeddings(rewards: Path, made_of_them: bool) -> str:
    """The judge of a reward that has cosines, or is known to be made of embeddings; else ""."""
    table = read_table(rewards, REWARDS, ["judge", "cosine"])
    table = table if made_of_them else table.drop_null()
    return table["judge"][0].as_py() if len(table) else ""


def check_bar(table: Path, measured: str, bar: float, output: Path, least_pairs: int = 1) -> None:
    """Write a note that a reward's accuracy on labelled pairs beats gate.bar.

    Args:
        table: The gate's figures.
        measured: The reward, or `pairs/` with the name of a judge of pairs.
        bar: What the lower end of the accuracy's interval must exceed.
        output: The note.
        least_pairs: How many pairs must have been judged.

    Raises:
        UserError: With the reason, if the accuracy does not beat the bar.
    """
    figures: Mapping[str, Mapping[str, float | int | None]]
    figures = read_json(table)[measured]
    accuracy = Estimate(**figures["accuracy"])  # type: ignore[arg-type]
    few = accuracy.n < least_pairs
    if few or accuracy.low is None or accuracy.low <= bar:
        found = (
            "no pair could be judged"
            if accuracy.value is None
            else f"its accuracy is {estimate_with_interval(accuracy)}"
        )
        enough = f", and gate.least_pairs asks for {least_pairs}" if few else ""
        kind = "judge" if measured.startswith(PAIRS_BY) else "reward"
        raise UserError(
            f"{table}: the {kind} '{measured}' does not beat gate.bar {bar}: {found} over "
            f"{accuracy.n} judged pairs{enough}. Its arms are not trained: label more pairs, choose "
            "another reward or judge, or lower gate.bar to train anyway."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"{measured} is above {bar}\n", encoding="utf-8")
