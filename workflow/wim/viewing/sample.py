"""Which prompts a page holds: all of them, or a sample drawn by seed that a browser can open."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wim.provenance.digest import seed_of
from wim.tables.files import read_table
from wim.tables.schemas import DIALOGUES, PAIRS
from wim.viewing.sources import Source

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class PromptSample:
    """The prompts of a page.

    Attributes:
        prompt_ids: Their ids.
        of: How many prompts there are.
        pairs: How many pairs there are in all.
    """

    prompt_ids: frozenset[str]
    of: int
    pairs: int

    @property
    def whole(self) -> bool:
        """Whether every prompt is in it."""
        return len(self.prompt_ids) >= self.of

    def rows(self, table: "pa.Table") -> "pa.Table":
        """The rows of a table that are of these prompts."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.whole:
            return table
        chosen = pa.array(sorted(self.prompt_ids), pa.string())
        return table.filter(pc.is_in(table["prompt_id"], chosen))


def sample_prompts(
    sources: Iterable[Source], pairs: Sequence[Path], most: int, characters: int, seed: int
) -> PromptSample:
    """The prompts in an order drawn by seed, as many as keep the page within its bounds.

    Every pair and candidate of a prompt is in or out, in all arms alike. The first prompt is in
    whatever its size.

    Args:
        sources: The candidates.
        pairs: The tables of pairs.
        most: The most pairs.
        characters: The most characters of candidates and their contexts.
        seed: The run's.
    """
    import pyarrow.compute as pc

    paired: Counter[str] = Counter()
    for path in pairs:
        paired.update(read_table(path, PAIRS, ["prompt_id"])["prompt_id"].to_pylist())
    lengths: Counter[str] = Counter()
    for source in sources:
        for path in source.dialogues:
            rows = read_table(path, DIALOGUES, ["prompt_id", "completion", "context"])
            names = rows["prompt_id"].to_pylist()
            texts = pc.utf8_length(rows["completion"]).to_pylist()
            for name, length, context in zip(
                names, texts, _context_lengths(rows["context"]), strict=True
            ):
                lengths[name] += length + context
    order = sorted(lengths.keys() | paired.keys(), key=lambda name: seed_of(seed, "page", name))
    kept: list[str] = []
    pairs_left, characters_left = most, characters
    for name in order:
        pairs_left -= paired[name]
        characters_left -= lengths[name]
        if kept and (pairs_left < 0 or characters_left < 0):
            break
        kept.append(name)
    return PromptSample(frozenset(kept), len(order), paired.total())


def _context_lengths(contexts: "pa.ChunkedArray") -> list[int]:
    return [sum(len(message["content"]) for message in each) for each in contexts.to_pylist()]
