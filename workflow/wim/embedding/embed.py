"""Responses and critiques as vectors of a sentence encoder."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.provenance.code_changes import stored_code
from wim.provenance.digest import code_digest, digest_of
from wim.tables.files import read_table, write_table
from wim.tables.ratings import Status
from wim.tables.schemas import RATINGS, embeddings_table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from wim.store.rows import RowStore

logger = logging.getLogger(__name__)
TEXTS_AT_A_TIME = 512


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
        return Encoded(vectors[order].astype(np.float32), [too_long[number] for number in order])

    def _truncated(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text has more tokens than the encoder reads."""
        if not texts:
            return []
        lengths = self.model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return [len(tokens) > self.model.max_seq_length for tokens in lengths]


class StoredEncoder:
    """Vectors from a store where they are known, else from an encoder, and then kept.

    A vector is known by the encoder's digest, the text, and the code of this module.
    `computed` counts the distinct texts that the store did not know.
    """

    def __init__(self, open_encoder: Callable[[], Encoder], store: "RowStore", digest: str) -> None:
        self._open_encoder = open_encoder
        self._encoder: Encoder | None = None
        self._store = store
        self._identity = {"encoder": digest, "code": stored_code(store.folder, encoder_code())}
        self.computed = 0

    @property
    def encoder(self) -> Encoder:
        """The encoder behind, opened when it is first needed."""
        if self._encoder is None:
            self._encoder = self._open_encoder()
        return self._encoder

    def encode(self, texts: Sequence[str]) -> Encoded:
        """See Encoder.encode. Missing texts are embedded and kept some at a time."""
        import numpy as np

        keys = {text: digest_of({**self._identity, "text": text}) for text in sorted(set(texts))}
        found = self._store.find_table(set(keys.values())).to_pydict()
        known = {
            key: (np.asarray(vector, dtype=np.float32), truncated)
            for key, vector, truncated in zip(*found.values(), strict=True)
        }
        missing = [text for text, key in keys.items() if key not in known]
        # Those of like length together, as the encoder would batch them itself.
        missing.sort(key=lambda text: (len(text), text))
        self.computed = len(missing)
        for start in range(0, len(missing), TEXTS_AT_A_TIME):
            some = missing[start : start + TEXTS_AT_A_TIME]
            encoded = self.encoder.encode(some)
            for text, vector, cut in zip(some, encoded.vectors, encoded.truncated, strict=True):
                known[keys[text]] = vector, cut
                self._store.add(keys[text], {"vector": vector, "truncated": cut})
        if not texts:
            return Encoded(np.zeros((0, self.encoder.dimension), dtype=np.float32), [])
        rows = [known[keys[text]] for text in texts]
        return Encoded(np.stack([vector for vector, _ in rows]), [cut for _, cut in rows])


def encoder_code() -> str:
    """The digest of the code that decides a vector."""
    return code_digest(Path(__file__), within=("wim.embedding",))


def vector_schema() -> "pa.Schema":
    """The columns of a stored vector."""
    import pyarrow as pa

    return pa.schema([("vector", pa.list_(pa.float32())), ("truncated", pa.bool_())])


def embed_critiques(
    dialogues: Path,
    ratings: Path,
    manifest: Path,
    judge: str,
    batch_size: int,
    store: Path,
    output: Path,
    scratch: str | None = None,
    conversations: bool = False,
) -> None:
    """The embeddings table of one shard: each rated candidate's response and critique.

    conversations: whether the response is all that its speaker said from the candidate on.
    Only critiques that name something missing are embedded; where nothing is missing, or
    the judgement failed, the vector is empty.
    """
    from wim.dialogues.conversations import read_judged
    from wim.models.manifest import read_manifest
    from wim.models.node_copy import local_copy
    from wim.store.rows import RowStore
    from wim.tables.schemas import DIALOGUES

    judged = read_table(ratings, RATINGS, ["candidate_id", "status", "wim"])
    if conversations:
        responses = {row.candidate_id: row.completion for row in read_judged(dialogues, True)}
        rows = judged.sort_by("candidate_id").to_pylist()
        rows = [row | {"completion": responses[row["candidate_id"]]} for row in rows]
    else:
        texts = read_table(dialogues, DIALOGUES, ["candidate_id", "completion"])
        rows = judged.join(texts, "candidate_id").sort_by("candidate_id").to_pylist()
    named = [row for row in rows if row["status"] == Status.OK]
    digest = read_manifest(manifest).digest
    with RowStore(store, vector_schema()) as vectors:
        encoder = StoredEncoder(
            lambda: Encoder(local_copy(manifest, scratch).parent, batch_size), vectors, digest
        )
        wanted = [row["completion"] for row in rows] + [row["wim"] for row in named]
        encoded = encoder.encode(wanted)
    distinct = len(set(wanted))
    logger.info(
        "embeddings: %d rows of %d distinct texts, %d from the store, %d embedded; "
        "%d longer than the encoder reads",
        *(len(rows), distinct, distinct - encoder.computed, encoder.computed),
        sum(encoded.truncated),
    )
    content = _columns(rows, [row["candidate_id"] for row in named], encoded, judge, digest)
    write_table(output, embeddings_table(encoded.vectors.shape[1]), content)


def _columns(
    rows: Sequence[Mapping[str, Any]],
    named: Sequence[str],
    encoded: Encoded,
    judge: str,
    digest: str,
) -> "pa.Table":
    """The embeddings table: `encoded` has the rows' responses, then the named ones' critiques."""
    import pyarrow as pa

    count = len(rows)
    critique = {
        name: (encoded.vectors[count + place], encoded.truncated[count + place])
        for place, name in enumerate(named)
    }
    found = [critique.get(row["candidate_id"], (None, False)) for row in rows]
    columns = [
        [row["candidate_id"] for row in rows],
        [judge] * count,
        list(encoded.vectors[:count]),
        [vector for vector, _ in found],
        encoded.truncated[:count],
        [truncated for _, truncated in found],
        [digest] * count,
    ]
    schema = embeddings_table(encoded.vectors.shape[1]).schema
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)
