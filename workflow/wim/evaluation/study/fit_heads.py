"""Fits the heads of a reward: to recorded critiques, labelled pairs, or another judge's numbers."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wim.critiques.by_critique import judged_shard, stacked_vectors
from wim.critiques.head import FOLDS, HEADS, Head, fitted_heads, fold_of
from wim.display.json_files import rounded, write_json
from wim.evaluation.judged_pairs import LabelledPair
from wim.evaluation.labels.read import read_labels
from wim.evaluation.study.encoded_set import encoded_set
from wim.evaluation.study.measure import credits
from wim.evaluation.study.sets import read_set
from wim.evaluation.study.vectors import opened_encoder
from wim.settings.critique_rewards import NamedReward
from wim.settings.embeddings import Long
from wim.settings.study import RecordedSettings
from wim.tables.files import read_table, write_table
from wim.tables.schemas import RATINGS

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
LABELLED = "labelled"


@dataclass(frozen=True)
class JudgedShards:
    """The judgements of a policy's candidates by the reward's own judge, shard by shard.

    Attributes:
        dialogues, ratings, embeddings: The shards, in one order.
        others: By the name of another judge, its ratings of the same candidates.
        pairs: The labelled pairs that the candidates are of, if they are.
    """

    dialogues: Sequence[Path] = ()
    ratings: Sequence[Path] = ()
    embeddings: Sequence[Path] = ()
    others: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    pairs: Sequence[LabelledPair] | None = None


class HeadInputs(Protocol):
    """What heads are fitted to, besides recorded critiques.

    Attributes:
        pairs: The labelled pairs, if they are a part of it.
        dialogues, ratings, embeddings: All shards of the labelled pairs, then of the actor's
            dialogues, of those that are a part of it.
        others: The ratings of the actor's dialogues by other judges, judge by judge.
    """

    pairs: Sequence[str]
    dialogues: Sequence[str]
    ratings: Sequence[str]
    embeddings: Sequence[str]
    others: Sequence[str]


def judged_shards(
    inputs: HeadInputs, labelled: bool, judges: Sequence[str], form: str | None = None
) -> list[JudgedShards]:
    """The judgements that heads learn from, of each policy.

    Args:
        inputs: The rule's.
        labelled: Whether the labelled pairs are a part of it.
        judges: The other judges whose numbers are.
        form: That of the labelled pairs, where it is given.
    """
    policies = labelled + bool(judges)
    shards = len(inputs.dialogues) // max(1, policies)

    def part(files: Sequence[str], place: int) -> list[Path]:
        return [Path(path) for path in files[place * shards : (place + 1) * shards]]

    found = []
    for place in range(policies):
        of_pairs = labelled and place == 0
        found.append(
            JudgedShards(
                dialogues=part(inputs.dialogues, place),
                ratings=part(inputs.ratings, place),
                embeddings=part(inputs.embeddings, place),
                others={}
                if of_pairs
                else {name: part(inputs.others, number) for number, name in enumerate(judges)},
                pairs=read_labels(map(Path, inputs.pairs), form) if of_pairs else None,
            )
        )
    return found


def fit_heads(
    name: str,
    settings: NamedReward,
    recorded: Mapping[str, RecordedSettings],
    files: Mapping[str, Sequence[Path]],
    judged: Sequence[JudgedShards],
    encoder: Path,
    store: Path,
    output: Path,
    report: Path,
    scratch: str | None = None,
    long: Long = "cut",
) -> None:
    """Write the heads of a reward, one for each fold of prompts, and what they were fitted to.

    Args:
        name: The reward's.
        settings: The reward.
        recorded, files: The recorded critiques that it learns from, and their files, by name.
        judged: The judgements that it learns from.
        encoder: The encoder's manifest.
        store: The row store of embeddings.
        output: The table of heads.
        report: JSON: examples, prompts and sources of each fold, and its accuracy on the prompts
            that it has not seen.
        scratch, long: As in `embed_critiques`.

    Raises:
        UserError: Of a file that cannot be read, or where there is too little to fit a head to.
    """
    import pandas as pd
    import pyarrow as pa

    parts = [_of_shards(settings, shards) for shards in judged]
    if recorded:
        with opened_encoder(encoder, store, scratch, long) as opened:
            for source, each in recorded.items():
                read = read_set(source, each, files[source], None, labelled=False)
                parts.append(encoded_set(read, opened).examples(settings))
    examples = pd.concat(parts, ignore_index=True)
    heads = fitted_heads(examples, settings.fit, f"rewards.{name}.learns_from")
    rows = pa.Table.from_pylist([asdict(head) for head in heads], schema=HEADS.schema)
    write_table(output, HEADS, rows)
    found = [_described(head, examples) for head in heads]
    write_json(report, rounded({"split": f"by prompt, {FOLDS} folds", "folds": found}))
    for head in heads:
        logger.info(
            "head of fold %d: %d critiques of %d prompts", head.fold, head.examples, head.prompts
        )


def _described(head: Head, examples: "pd.DataFrame") -> dict[str, object]:
    """A head without its weights, and how often it is right on pairs of prompts of its own fold."""
    import numpy as np

    own = examples[examples["prompt"].map(fold_of) == head.fold]
    right = []
    for _, rows in own.groupby(["source", "prompt", "group"]):
        numbers = rows["number"].to_numpy(np.float64)
        values = head.values(np.stack(rows["vector"].to_list()), ["ok"] * len(rows))
        high, low = np.nonzero(numbers[:, None] > numbers[None])
        right += credits(values[high] - values[low]).tolist()
    accuracy = sum(right) / len(right) if right else None
    kept = asdict(head)
    del kept["weights"]
    return {**kept, "unseen_pairs": len(right), "accuracy_on_unseen_pairs": accuracy}


def _of_shards(settings: NamedReward, shards: JudgedShards) -> "pd.DataFrame":
    """The usable critiques of a policy with what they are to tell: labels, or others' numbers."""
    import numpy as np
    import pandas as pd

    parts = []
    for place, said in enumerate(shards.dialogues):
        judged = judged_shard(said, shards.ratings[place], shards.embeddings[place])
        vectors = [each for each in judged["wim_embedding"] if each is not None]
        if not vectors:
            continue
        stacked = stacked_vectors(judged, settings, len(vectors[0]))
        judged["vector"] = list(stacked)
        frame = judged.iloc[np.flatnonzero(~np.isnan(stacked).any(axis=1))]
        wanted = {judge: _numbers(paths[place]) for judge, paths in shards.others.items()}
        if shards.pairs is not None:
            wanted[LABELLED] = _labels(shards.pairs)
        for source, numbers in wanted.items():
            group = frame["turn"].astype(str)
            if source == LABELLED:
                group = frame["candidate_id"].map(_pair_of(shards.pairs))
            parts.append(
                pd.DataFrame(
                    {
                        "vector": frame["vector"],
                        "number": frame["candidate_id"].map(numbers),
                        "prompt": frame["prompt"],
                        "group": group,
                        "source": source,
                    }
                ).dropna(subset="number")
            )
    columns = ["vector", "number", "prompt", "group", "source"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _numbers(ratings: Path) -> dict[str, float]:
    """The numbers of a judge by candidate: the mean over its probabilities, or else the one given."""
    columns = ["candidate_id", "rating", "rating_expected"]
    rows = read_table(ratings, RATINGS, columns).to_pylist()
    return {
        row["candidate_id"]: row["rating"]
        if row["rating_expected"] is None
        else row["rating_expected"]
        for row in rows
        if (row["rating"], row["rating_expected"]) != (None, None)
    }


def _labels(pairs: Sequence[LabelledPair]) -> dict[str, float]:
    """How often each response was labelled the better one, 0 to 1, by candidate.

    Pairs of which neither is better tell nothing.
    """
    found: dict[str, list[float]] = {}
    for pair in pairs:
        if pair.better != "tie":
            for name, candidate in zip("ab", pair.candidates, strict=True):
                found.setdefault(candidate.candidate_id, []).append(float(name == pair.better))
    return {name: sum(values) / len(values) for name, values in found.items()}


def _pair_of(pairs: Sequence[LabelledPair] | None) -> dict[str, str]:
    """What each candidate is compared in: its pair, or where it is in several its prompt."""
    assert pairs is not None
    return {
        candidate.candidate_id: pair.prompt if any(pair.ids) else pair.pair_id
        for pair in pairs
        for candidate in pair.candidates
    }
