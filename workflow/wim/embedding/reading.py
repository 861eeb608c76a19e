"""How much an encoder reads of the texts that are given to it, and when that is too little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wim.display.markdown import percent
from wim.statistics import Share
from wim.tables.files import read_embeddings
from wim.tables.schemas import WHOLLY_UNKNOWN

# A text with a larger share of unknown tokens is hard to read.
HARD_TO_READ = 0.1
# A larger share of such texts, or of texts that were cut, is worth a warning.
TOO_MANY = 0.05
READING = ["response_truncated", "wim_truncated", "response_unknown", "wim_unknown"]


@dataclass(frozen=True)
class TextsRead:
    """How an encoder reads some texts.

    Attributes:
        cut: The share of texts whose end it leaves out.
        hard: The share of which more than a tenth of the tokens are unknown to it.
        unreadable: The share of which all are; they have no cosine.
    """

    cut: Share
    hard: Share
    unreadable: Share


def texts_read(truncated: Sequence[bool], unknown: Sequence[float]) -> TextsRead:
    """How texts are read, by whether each was cut and by the share of its unknown tokens."""
    count = len(unknown)
    return TextsRead(
        cut=Share.of(sum(truncated), count),
        hard=Share.of(sum(share > HARD_TO_READ for share in unknown), count),
        unreadable=Share.of(sum(share >= WHOLLY_UNKNOWN for share in unknown), count),
    )


def embeddings_read(shards: Sequence[Path]) -> dict[str, TextsRead]:
    """How the `responses` and `critiques` of the shards of an embeddings table were read."""
    rows = [row for path in shards for row in read_embeddings(path, READING).to_pylist()]
    critiques = [row for row in rows if row["wim_unknown"] is not None]
    return {
        "responses": texts_read(
            [row["response_truncated"] for row in rows], [row["response_unknown"] for row in rows]
        ),
        "critiques": texts_read(
            [row["wim_truncated"] for row in critiques], [row["wim_unknown"] for row in critiques]
        ),
    }


def reading_warnings(read: Mapping[str, TextsRead]) -> list[str]:
    """A sentence for each thing that an encoder reads too little of.

    Args:
        read: How texts are read, by what they are, in the plural.
    """
    found = []
    for texts, one in read.items():
        if one.unreadable.count:
            found.append(
                f"{one.unreadable.count:,} of {one.unreadable.n:,} {texts} consist of tokens that "
                "the encoder does not know, and have no cosine."
            )
        if _many(one.hard):
            found.append(
                f"{percent(one.hard.share, 0)} of {texts} have more than {percent(HARD_TO_READ, 0)} of tokens that "
                "the encoder does not know; name one that knows their language under "
                "embeddings.encoder."
            )
        if _many(one.cut):
            found.append(
                f"{percent(one.cut.share, 0)} of {texts} are longer than the encoder reads, and their ends "
                "are left out; embeddings.long: windows reads all of them."
            )
    return found


def _many(share: Share) -> bool:
    return share.share is not None and share.share > TOO_MANY
