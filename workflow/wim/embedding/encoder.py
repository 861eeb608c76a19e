"""A sentence encoder, and the store of its vectors."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.provenance.code_changes import stored_code
from wim.provenance.digest import code_digest, digest_of
from wim.store.memo import Memo

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from wim.store.rows import RowStore

    # A vector, and whether its text was truncated.
    StoredVector = tuple[np.ndarray[Any, Any], bool]

TEXTS_AT_A_TIME = 512


@dataclass(frozen=True)
class Encoded:
    """Vectors (texts, dimension) float32 of unit length, and which texts were truncated."""

    vectors: "np.ndarray[Any, Any]"
    truncated: list[bool]


class Encoder:
    """The sentence encoder of a staged folder."""

    def __init__(self, folder: Path, batch_size: int = 64) -> None:
        from sentence_transformers import SentenceTransformer

        self.model: Any = SentenceTransformer(
            str(folder), trust_remote_code=False, local_files_only=True
        )
        self.batch_size = batch_size

    @property
    def dimension(self) -> int:
        """The number of a vector's components."""
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
        return Encoded(vectors[order].astype(np.float32), [too_long[number] for number in order])

    def _truncated(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text has more tokens than the encoder reads."""
        # Encoders without a transformer read texts of any length.
        if not texts or not math.isfinite(self.model.max_seq_length or math.inf):
            return [False] * len(texts)
        lengths = self.model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return [len(tokens) > self.model.max_seq_length for tokens in lengths]


class StoredEncoder:
    """Vectors from a store; an encoder computes those that are missing, and they are kept.

    The key of a vector is made of the encoder's digest, the text, and the code of this module.
    """

    def __init__(self, open_encoder: Callable[[], Encoder], store: "RowStore", digest: str) -> None:
        self._open_encoder = open_encoder
        self._encoder: Encoder | None = None
        self._identity = {"encoder": digest, "code": stored_code(store.folder, encoder_code())}
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
            return Encoded(np.zeros((0, self.encoder.dimension), dtype=np.float32), [])
        stored = [found[keys[text]] for text in texts]
        return Encoded(np.stack([vector for vector, _ in stored]), [cut for _, cut in stored])

    def _computed(self, texts: list[str]) -> "Iterator[tuple[str, StoredVector]]":
        # Those of similar length together, as the encoder would batch them itself.
        ordered = sorted(texts, key=lambda text: (len(text), text))
        for start in range(0, len(ordered), TEXTS_AT_A_TIME):
            some = ordered[start : start + TEXTS_AT_A_TIME]
            encoded = self.encoder.encode(some)
            pairs = zip(encoded.vectors, encoded.truncated, strict=True)
            yield from zip(some, pairs, strict=True)


def _stored_vector(_: str, row: Mapping[str, Any]) -> "StoredVector":
    import numpy as np

    return np.asarray(row["vector"], dtype=np.float32), row["truncated"]


def _vector_row(value: "StoredVector") -> dict[str, object]:
    vector, truncated = value
    return {"vector": vector, "truncated": truncated}


def encoder_code() -> str:
    """The digest of the code that decides a vector."""
    return code_digest(Path(__file__), within=("wim.embedding.encoder",))


def vector_schema() -> "pa.Schema":
    """The columns of a stored vector."""
    import pyarrow as pa

    return pa.schema([("vector", pa.list_(pa.float32())), ("truncated", pa.bool_())])
