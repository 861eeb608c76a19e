"""What the page holds, as columns: contexts, candidates, what was said of them, and pairs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.judging.overlap import overlap
from wim.provenance.digest import canonical_json
from wim.rewards.ties import lead
from wim.settings.sampled_judges import number_of_sample
from wim.tables.aspects import ASPECT_RATINGS
from wim.tables.files import read_table, read_tables
from wim.tables.schemas import COMPARISONS, DIALOGUES, PAIRS, PROMPTS, RATINGS, REWARDS
from wim.viewing.sample import PromptSample
from wim.viewing.sources import Source
from wim.writing import script_of

if TYPE_CHECKING:
    import pyarrow as pa

OF_CANDIDATES = (
    *("candidate_id", "prompt_id", "turn", "speaker", "sample", "completion", "reasoning"),
    *("finish_reason", "prompt_tokens", "completion_tokens", "judged"),
)
OF_RATINGS = (
    *("status", "rating", "rating_expected", "wim", "nothing_missing_logprob", "raw"),
    *("reasoning", "attempts"),
)
OF_PAIRS = (
    *("chosen_id", "rejected_id", "prompt_id", "split", "score_chosen", "score_rejected"),
    *("margin", "judge", "reward"),
)
OF_COMPARISONS = (
    *("a_id", "b_id", "status", "winner", "preference_a"),
    *("raw_a_shown_first", "raw_b_shown_first"),
)
Columns = dict[str, list[Any]]


@dataclass
class Content:
    """The page's rows as columns; a candidate is its place in `candidates`, a context likewise.

    Attributes:
        contexts: Lists of messages, each once.
        candidates: OF_CANDIDATES, with `context`, `policy`, `split` and `script`.
        ratings: By judge OF_RATINGS and `echo`, with `candidate`, `sample` and `aspect`: a row for
            each judgement, and in each of a judge's aspects one more.
        rewards: By reward `candidate`, `reward`, `status` and `cosine`.
        pairs: OF_PAIRS with `arm` and `round`, and how suspicious each is.
        comparisons: By judge OF_COMPARISONS, with `a` and `b` in place of ids.
        place: The place of a candidate by its id.
    """

    contexts: list[list[dict[str, str]]] = field(default_factory=list)
    candidates: Columns = field(default_factory=dict)
    ratings: dict[str, Columns] = field(default_factory=dict)
    rewards: dict[str, Columns] = field(default_factory=dict)
    pairs: Columns = field(default_factory=dict)
    comparisons: dict[str, Columns] = field(default_factory=dict)
    place: dict[str, int] = field(default_factory=dict)


def gather(
    sources: Sequence[Source],
    prompts: Iterable[Path],
    comparisons: Iterable[Path],
    pairs: Sequence[Path],
    sample: PromptSample,
) -> Content:
    """Everything that the page shows of the prompts of a sample.

    Args:
        sources: The candidates of each policy, and what was said of them.
        prompts: The shards of prompts, for the splits of candidates.
        comparisons: <comparison>/<judge>/<shard>.parquet.
        pairs: <arm>/round<r>.parquet.
        sample: The prompts.
    """
    content = Content()
    splits = read_tables(prompts, PROMPTS, ["prompt_id", "split"]).to_pydict()
    split_of = dict(zip(splits["prompt_id"], splits["split"], strict=True))
    _add_candidates(content, sources, split_of, sample)
    for source in sources:
        for judge, paths in source.ratings.items():
            _add_ratings(content, judge, paths)
        for judge, paths in source.aspects.items():
            _add_aspects(content, judge, paths)
        for reward, path in source.rewards.items():
            _add_rewards(content, reward, path)
    for path in comparisons:
        _add_comparisons(content, path)
    for path in pairs:
        _add_pairs(content, path, sample)
    return content


def _add_candidates(
    content: Content,
    sources: Sequence[Source],
    split_of: Mapping[str, str],
    sample: PromptSample,
) -> None:
    columns = content.candidates
    columns.update({name: [] for name in (*OF_CANDIDATES, "context", "policy", "split", "script")})
    context_place: dict[str, int] = {}
    for source in sources:
        for path in source.dialogues:
            table = sample.rows(read_table(path, DIALOGUES, [*OF_CANDIDATES, "context"]))
            for row in table.to_pylist():
                if row["candidate_id"] in content.place:
                    continue
                content.place[row["candidate_id"]] = len(content.place)
                context = row.pop("context")
                key = canonical_json(context)
                if key not in context_place:
                    context_place[key] = len(content.contexts)
                    content.contexts.append(context)
                for name in OF_CANDIDATES:
                    columns[name].append(row[name])
                columns["context"].append(context_place[key])
                columns["policy"].append(source.name)
                columns["split"].append(split_of.get(row["prompt_id"]))
                columns["script"].append(script_of(row["completion"]))


def _add_ratings(content: Content, judge: str, paths: Iterable[Path]) -> None:
    rows = (
        {"sample": number_of_sample(path.parent.name), "aspect": None, **row}
        for path in paths
        for row in _shown(content, read_table(path, RATINGS, ["candidate_id", *OF_RATINGS]))
    )
    _add_judgements(content, judge, rows)


def _add_aspects(content: Content, judge: str, paths: Iterable[Path]) -> None:
    # What an aspect has no column of is said of the whole judgement.
    whole = {"nothing_missing_logprob": None, "reasoning": None, "attempts": 1}
    names = ["candidate_id", "sample", "aspect", *(n for n in OF_RATINGS if n not in whole)]
    rows = (
        {**whole, **row}
        for path in paths
        for row in _shown(content, read_table(path, ASPECT_RATINGS, names))
    )
    _add_judgements(content, judge, rows)


def _add_judgements(content: Content, judge: str, rows: Iterable[dict[str, Any]]) -> None:
    names = ("sample", "aspect", *OF_RATINGS)
    columns = content.ratings.setdefault(
        judge, {name: [] for name in ("candidate", *names, "echo")}
    )
    known = set(zip(*(columns[name] for name in ("candidate", "sample", "aspect")), strict=True))
    for row in rows:
        place = content.place.get(row["candidate_id"])
        if place is None or (place, row["sample"], row["aspect"]) in known:
            continue
        columns["candidate"].append(place)
        for name in names:
            columns[name].append(row[name])
        said = row["wim"]
        copied = overlap(said, content.candidates["completion"][place]) if said else None
        columns["echo"].append(copied)


def _add_rewards(content: Content, reward: str, path: Path) -> None:
    names = ("reward", "status", "cosine")
    columns = content.rewards.setdefault(reward, {name: [] for name in ("candidate", *names)})
    known = set(columns["candidate"])
    for row in _shown(content, read_table(path, REWARDS, ["candidate_id", *names])):
        place = content.place.get(row["candidate_id"])
        if place is None or place in known:
            continue
        columns["candidate"].append(place)
        for name in names:
            columns[name].append(row[name])


def _shown(content: Content, table: "pa.Table") -> list[dict[str, Any]]:
    """The rows of a table that are of the page's candidates."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows: list[dict[str, Any]] = table.filter(
        pc.is_in(table["candidate_id"], pa.array(list(content.place), pa.string()))
    ).to_pylist()
    return rows


def _add_comparisons(content: Content, path: Path) -> None:
    judge = path.parent.name
    said = OF_COMPARISONS[2:]
    columns = content.comparisons.setdefault(judge, {name: [] for name in ("a", "b", *said)})
    for row in read_table(path, COMPARISONS, list(OF_COMPARISONS)).to_pylist():
        a, b = (content.place.get(row[name]) for name in ("a_id", "b_id"))
        if a is None or b is None:
            continue
        columns["a"].append(a)
        columns["b"].append(b)
        for name in said:
            columns[name].append(row[name])


def _add_pairs(content: Content, path: Path, sample: PromptSample) -> None:
    columns = content.pairs
    if not columns:
        columns.update({name: [] for name in (*OF_PAIRS, "chosen", "rejected", "arm", "round")})
    table = sample.rows(read_table(path, PAIRS, list(OF_PAIRS)))
    for row in table.to_pylist():
        for name in OF_PAIRS:
            columns[name].append(row[name])
        for side in ("chosen", "rejected"):
            columns[side].append(content.place[row[f"{side}_id"]])
        columns["arm"].append(path.parent.name)
        columns["round"].append(int(path.stem.removeprefix("round")))


def disagreements(content: Content, controls: Iterable[str]) -> list[list[str]]:
    """For each pair the rewards that prefer its rejected candidate, controls aside.

    The reward that labelled the pair is one of them only where ties were broken against it.
    """
    left_out = set(controls)
    by_reward = {
        name: dict(zip(columns["candidate"], columns["reward"], strict=True))
        for name, columns in content.rewards.items()
        if name not in left_out
    }
    sides = zip(content.pairs.get("chosen", []), content.pairs.get("rejected", []), strict=True)
    return [
        [
            name
            for name, of in by_reward.items()
            if (one := of.get(chosen)) is not None
            and (other := of.get(rejected)) is not None
            and lead(other, one) > 0
        ]
        for chosen, rejected in sides
    ]
