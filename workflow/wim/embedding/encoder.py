"""A sentence encoder, and the store of its vectors."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.embedding.tokens import Tokens, tokens_of
from wim.provenance.code import code_digest
from wim.provenance.code_changes import stored_code
from wim.provenance.digest import digest_of
from wim.settings.embeddings import Long
from wim.store.memo import Memo

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from wim.store.rows import RowStore

    # A vector, whether its text was truncated, and the share of its tokens that are unknown.
    StoredVector = tuple[np.ndarray[Any, Any], bool, float]

TEXTS_AT_A_TIME = 512


@dataclass(frozen=True)
class Encoded:
    """Vectors of texts, and how much of each text the encoder read.

    Attributes:
        vectors: (texts, dimension) float32 of unit length.
        truncated: Which texts have an end that was not read.
        unknown: The share (0..1) of what was read of each that is unknown to the encoder.
    """

    vectors: "np.ndarray[Any, Any]"
    truncated: list[bool]
    unknown: list[float]


class Encoder:
    """The sentence encoder of a staged folder."""

    def __init__(self, folder: Path, long: Long = "cut") -> None:
        """Load it.

        Args:
            folder: The staged folder.
            long: Of a text that is longer than it reads, whether the end is cut off, or the vector
                is the mean over windows of the text.
        """
        from sentence_transformers import SentenceTransformer

        self.model: Any = SentenceTransformer(
            str(folder), trust_remote_code=False, local_files_only=True
        )
        self.long = long

    @property
    def dimension(self) -> int:
        """The number of a vector's components."""
        return int(self.model.get_embedding_dimension())

    @property
    def room(self) -> int | None:
        """The number of tokens that it reads at once, beside those that it adds itself.

        None for an encoder without a transformer, which reads texts of any length.
        """
        limit = self.model.max_seq_length
        if limit is None or not math.isfinite(limit):
            return None
        return int(limit) - int(self.model.tokenizer.num_special_tokens_to_add())

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode texts, each distinct one once. A vector depends on its own text alone."""
        distinct = sorted(set(texts))
        place = {text: number for number, text in enumerate(distinct)}
        tokens = tokens_of(self.model.tokenizer, distinct)
        read = None if self.long == "windows" else self.room
        vectors = self._means(tokens) if self.long == "windows" else self._vectors(distinct)
        too_long = [read is not None and len(each) > read for each in tokens]
        unknown = [each.unknown_share(read) for each in tokens]
        order = [place[text] for text in texts]
        return Encoded(
            vectors[order], [too_long[number] for number in order], [unknown[n] for n in order]
        )

    def _vectors(self, texts: list[str]) -> "np.ndarray[Any, Any]":
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        # Padding, the shape of a batch and the number of threads decide how sums are ordered, and
        # so the last bits (docs/design/decisions/one-text-at-a-time.md).
        with _one_thread():
            found: np.ndarray[Any, Any] = self.model.encode(
                texts, batch_size=1, normalize_embeddings=True, show_progress_bar=False
            )
        return found.astype(np.float32)

    def _means(self, texts: Sequence[Tokens]) -> "np.ndarray[Any, Any]":
        """The normalised mean of the vectors of each text's windows."""
        import numpy as np

        room = self.room
        windows = [
            [each.text] if room is None or len(each) <= room else each.windows(room)
            for each in texts
        ]
        parts = sorted({part for each in windows for part in each})
        place = {part: number for number, part in enumerate(parts)}
        vectors = self._vectors(parts)
        means = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
        for row, each in enumerate(windows):
            of_text = vectors[[place[part] for part in each]]
            if len(of_text) > 1:
                mean = of_text.mean(axis=0, dtype=np.float64)
                of_text = (mean / np.linalg.norm(mean))[None]
            means[row] = of_text[0]
        return means


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch's operations on the CPU on one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class StoredEncoder:
    """Vectors from a store; an encoder computes those that are missing, and they are kept.

    The key of a vector is made of the encoder's digest, the text, how a long one is read, and the
    code of this module.
    """

    def __init__(
        self,
        open_encoder: Callable[[], Encoder],
        store: "RowStore",
        digest: str,
        long: Long = "cut",
    ) -> None:
        self._open_encoder = open_encoder
        self._encoder: Encoder | None = None
        self._identity = {"encoder": digest, "code": stored_code(store.folder, encoder_code())}
        if long != "cut":
            self._identity["long"] = long
        # Under the keys' names, as texts would stay in memory.
        self._memo: Memo[str, StoredVector] = Memo(store, _stored_vector, _vector_row)

    @property
    def computed(self) -> int:
        """The number of distinct texts whose vectors the store lacked."""
        return len(self._memo.missing)

    @property
    def encoder(self) -> Encoder:
        """The encoder itself, opened when it is first needed."""
        if self._encoder is None:
            self._encoder = self._open_encoder()
        return self._encoder

    def known(self, texts: Collection[str]) -> int:
        """How many of some distinct texts have their vector in the store."""
        return len(self._memo.known({key: key for key in self._keys(texts).values()}))

    def _keys(self, texts: Collection[str]) -> dict[str, str]:
        return {text: digest_of({**self._identity, "text": text}) for text in sorted(set(texts))}

    def encode(self, texts: Sequence[str]) -> Encoded:
        """See Encoder.encode. Missing texts are encoded and kept TEXTS_AT_A_TIME at a time."""
        import numpy as np

        keys = self._keys(texts)
        text_of = {key: text for text, key in keys.items()}

        def compute(missing: list[str]) -> "Iterator[tuple[str, StoredVector]]":
            values = self._computed([text_of[key] for key in missing])
            yield from ((keys[text], value) for text, value in values)

        found = dict(self._memo.values({key: key for key in text_of}, compute))
        if not texts:
            return Encoded(np.zeros((0, self.encoder.dimension), dtype=np.float32), [], [])
        vectors, truncated, unknown = zip(*(found[keys[text]] for text in texts), strict=True)
        return Encoded(np.stack(vectors), list(truncated), list(unknown))

    def _computed(self, texts: list[str]) -> "Iterator[tuple[str, StoredVector]]":
        # Those of similar length together, as the encoder would batch them itself.
        ordered = sorted(texts, key=lambda text: (len(text), text))
        for start in range(0, len(ordered), TEXTS_AT_A_TIME):
            some = ordered[start : start + TEXTS_AT_A_TIME]
            encoded = self.encoder.encode(some)
            rows = zip(encoded.vectors, encoded.truncated, encoded.unknown, strict=True)
            yield from zip(some, rows, strict=True)


def _stored_vector(_: str, row: Mapping[str, Any]) -> "StoredVector":
    import numpy as np

    return np.asarray(row["vector"], dtype=np.float32), row["truncated"], row["unknown"]


def _vector_row(value: "StoredVector") -> dict[str, object]:
    vector, truncated, unknown = value
    return {"vector": vector, "truncated": truncated, "unknown": unknown}


def encoder_code() -> str:
    """The digest of the code that decides a vector."""
    return code_digest(Path(__file__), within=("wim.embedding.encoder", "wim.embedding.tokens"))


def vector_schema() -> "pa.Schema":
    """The columns of a stored vector."""
    import pyarrow as pa

    return pa.schema(
        [
            ("vector", pa.list_(pa.float32())),
            ("truncated", pa.bool_()),
            ("unknown", pa.float64()),
        ]
    )
