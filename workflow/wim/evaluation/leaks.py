"""Leaks: prompts of an evaluation that stand in what was trained on, and so say little."""

import logging
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import regex

from wim.display.json_files import read_json_lines, write_json_lines
from wim.tables.files import read_tables
from wim.tables.schemas import PROMPTS, Message

logger = logging.getLogger(__name__)
Kind = Literal["exact", "overlap", "near"]
KINDS: tuple[Kind, ...] = ("exact", "overlap", "near")
# Words of a passage that two prompts have in common, and the training prompts above which it is a
# form that all of them share (Brown et al. 2020, arXiv 2005.14165, appendix C).
PASSAGE, SHARED_BY = 13, 10
# Near-duplicates: this Jaccard similarity of their sequences of three words, or of their words where
# there are fewer (Lee et al. 2022, arXiv 2107.06499).
SEQUENCE, SIMILAR = 3, 0.8
HASHES = 128
COLUMNS = ["prompt_id", "messages", "split"]
WORD = regex.compile(r"\w+")


@dataclass(frozen=True)
class Leak:
    """A prompt of an evaluation that is in what was trained on.

    Attributes:
        prompt_id: The evaluation's.
        kind: `exact`: the same words; `overlap`: thirteen words in a row; `near`: nearly the same.
        trained_id: The training prompt.
        share: Of the prompt's passages that are in training prompts; of near ones the similarity.
    """

    prompt_id: str
    kind: Kind
    trained_id: str
    share: float


def find_leaks(prompts: Sequence[Path], trained: Sequence[Path], output: Path) -> None:
    """Write which prompts of an evaluation stand in what was trained on, a JSON line for each.

    Args:
        prompts: The evaluation's, all shards.
        trained: The run's prompts, all shards; those of the split `train` are trained on.
        output: The lines, in the order of the prompts' ids; none if there is no leak.
    """
    own = {row["prompt_id"]: words(row["messages"]) for row in _rows(prompts, COLUMNS)}
    _write_leaks(own, _of_split(trained, "train"), output)


def find_split_leaks(prompts: Sequence[Path], output: Path) -> None:
    """Write which held-out prompts of a run stand in those it trains on, as `find_leaks` does.

    Args:
        prompts: The run's, all shards.
        output: The lines.
    """
    _write_leaks(_of_split(prompts, "eval"), _of_split(prompts, "train"), output)


def _of_split(prompts: Sequence[Path], split: str) -> dict[str, tuple[str, ...]]:
    """The words of the prompts of a split, by prompt."""
    rows = _rows(prompts, COLUMNS)
    return {row["prompt_id"]: words(row["messages"]) for row in rows if row["split"] == split}


def _write_leaks(
    own: Mapping[str, tuple[str, ...]], known: Mapping[str, tuple[str, ...]], output: Path
) -> None:
    found = sorted(leaks(own, known), key=lambda leak: leak.prompt_id)
    counts = Counter(leak.kind for leak in found)
    logger.info(
        "leaks: of %d prompts %s of %d that were trained on",
        len(own),
        ", ".join(f"{counts[kind]} {kind}" for kind in KINDS),
        len(known),
    )
    write_json_lines(output, [asdict(leak) for leak in found])


def read_leaks(path: Path) -> dict[str, Kind]:
    """The kind of leak of each prompt that leaks."""
    return {leak["prompt_id"]: leak["kind"] for leak in read_json_lines(path)}


def words(messages: Iterable[Message]) -> tuple[str, ...]:
    """The words of a prompt's user messages, in NFKC and without case."""
    text = "\n".join(each["content"] for each in messages if each["role"] == "user")
    return tuple(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def leaks(
    prompts: Mapping[str, tuple[str, ...]], trained: Mapping[str, tuple[str, ...]]
) -> Iterator[Leak]:
    """The first kind of leak of each prompt that has one. Both: words by prompt_id."""
    exact = {text: name for name, text in sorted(trained.items(), reverse=True)}
    passages = _passages_of(trained)
    near = _Near(trained)
    for name, text in prompts.items():
        if not text:
            continue
        if text in exact:
            yield Leak(name, "exact", exact[text], 1.0)
            continue
        own = [passages.get(each) for each in sequences(text, PASSAGE)]
        if hits := [place for place in own if place is not None]:
            yield Leak(name, "overlap", hits[0], len(hits) / len(own))
        elif similar := near.of(text):
            yield Leak(name, "near", *similar)


def sequences(text: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """All sequences of so many words; none of a shorter text."""
    return [tuple(text[place : place + length]) for place in range(len(text) - length + 1)]


def _passages_of(trained: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """The first prompt of each passage, without passages that many prompts share."""
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, text in sorted(trained.items()):
        for passage in dict.fromkeys(sequences(text, PASSAGE)):
            if len(places[passage]) <= SHARED_BY:
                places[passage].append(name)
    return {passage: names[0] for passage, names in places.items() if len(names) <= SHARED_BY}


class _Near:
    """Finds near-duplicates by MinHash (Broder 1997), each verified by its exact similarity."""

    def __init__(self, trained: Mapping[str, tuple[str, ...]]) -> None:
        from datasketch import MinHashLSH

        self._shingles = {name: _shingles(text) for name, text in trained.items() if text}
        self._index = MinHashLSH(threshold=SIMILAR, num_perm=HASHES)
        for name, shingles in self._shingles.items():
            self._index.insert(name, _minhash(shingles))

    def of(self, text: tuple[str, ...]) -> tuple[str, float] | None:
        """The most similar training prompt and its similarity, if it is similar enough."""
        own = _shingles(text)
        similar = [
            (len(own & other) / len(own | other), name)
            for name in sorted(self._index.query(_minhash(own)))
            for other in [self._shingles[name]]
        ]
        share, name = max(similar, default=(0.0, ""))
        return (name, share) if share >= SIMILAR else None


def _shingles(text: tuple[str, ...]) -> frozenset[str]:
    return frozenset(" ".join(each) for each in sequences(text, SEQUENCE) or [(w,) for w in text])


def _minhash(shingles: frozenset[str]) -> Any:
    from datasketch import MinHash

    hashed = MinHash(num_perm=HASHES)
    hashed.update_batch([each.encode() for each in sorted(shingles)])
    return hashed


def _rows(paths: Sequence[Path], columns: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_tables(list(paths), PROMPTS, columns).to_pylist()
    return rows
