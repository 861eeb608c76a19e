"""Responses and critiques as vectors of a sentence encoder."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.tables import RATINGS, embeddings_table, read_table, write_table

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded:
    """Vectors (texts, dimension) float32 of unit length, and which texts were cut off."""

    vectors: "np.ndarray[Any, Any]"
    truncated: list[bool]


class Encoder:
    """A sentence encoder of a staged folder."""

    def __init__(self, folder: Path, batch_size: int = 64) -> None:
        from sentence_transformers import SentenceTransformer

        self.model: Any = SentenceTransformer(
            str(folder), trust_remote_code=False, local_files_only=True
        )
        self.batch_size = batch_size

    @property
    def dimension(self) -> int:
        """Components of a vector."""
        return int(self.model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode texts, each distinct one once; the encoder batches them by length."""
        import numpy as np

        distinct = sorted(set(texts))
        place = {text: number for number, text in enumerate(distinct)}
        vectors = np.zeros((0, self.dimension), dtype=np.float32)
        if distinct:
            vectors = self.model.encode(
                distinct,
                batch_size=self.batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        too_long = self._truncated(distinct)
        order = [place[text] for text in texts]
        logger.info("encoder: %d texts, %d distinct ones embedded", len(texts), len(distinct))
        return Encoded(vectors[order].astype(np.float32), [too_long[number] for number in order])

    def _truncated(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text has more tokens than the encoder reads."""
        if not texts:
            return []
        lengths = self.model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return [len(tokens) > self.model.max_seq_length for tokens in lengths]


def write_embeddings(
    dialogues: Path, ratings: Path, manifest: Path, judge: str, batch_size: int, output: Path
) -> None:
    """The embeddings table of one shard: each rated candidate's response and critique.

    Only critiques that name something missing are embedded; where nothing is missing, or
    the judgement failed, the vector is empty.
    """
    import pyarrow as pa

    from wim.models import read_manifest
    from wim.tables import DIALOGUES

    judged = read_table(ratings, RATINGS, ["candidate_id", "status", "wim"])
    texts = read_table(dialogues, DIALOGUES, ["candidate_id", "completion"])
    rows = judged.join(texts, "candidate_id").sort_by("candidate_id").to_pylist()
    encoder = Encoder(Path(manifest).parent, batch_size)
    named = [row for row in rows if row["status"] == "ok"]
    encoded = encoder.encode([row["completion"] for row in rows] + [row["wim"] for row in named])
    vectors = list(encoded.vectors)
    critique = {
        row["candidate_id"]: (vectors[len(rows) + number], encoded.truncated[len(rows) + number])
        for number, row in enumerate(named)
    }
    table = embeddings_table(encoder.dimension)
    found = [critique.get(row["candidate_id"], (None, False)) for row in rows]
    columns = [
        [row["candidate_id"] for row in rows],
        [judge] * len(rows),
        vectors[: len(rows)],
        [vector for vector, _ in found],
        encoded.truncated[: len(rows)],
        [truncated for _, truncated in found],
        [read_manifest(manifest).digest] * len(rows),
    ]
    arrays = [
        pa.array(column, type=field.type)
        for column, field in zip(columns, table.schema, strict=True)
    ]
    cut = sum(encoded.truncated)
    logger.info("embeddings: %d rows, %d texts longer than the encoder reads", len(rows), cut)
    write_table(output, table, pa.table(arrays, schema=table.schema))
