"""The embeddings of a shard: responses and critiques as vectors of a sentence encoder."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from wim.embedding.encoder import Encoded, Encoder, StoredEncoder, vector_schema
from wim.embedding.reading import reading_warnings, texts_read
from wim.settings.embeddings import Long
from wim.tables.files import read_table, write_table
from wim.tables.ratings import Status
from wim.tables.schemas import RATINGS, embeddings_table

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)


def embed_critiques(
    dialogues: Path,
    ratings: Path,
    manifest: Path,
    judge: str,
    store: Path,
    output: Path,
    scratch: str | None = None,
    conversations: bool = False,
    reasoning: bool = False,
    long: Long = "cut",
) -> None:
    """Write the embeddings table of one shard: each rated candidate's response and critique.

    Only critiques that name something missing are embedded; where nothing is missing, or
    the judgement failed, the vector is null.

    Args:
        dialogues: The dialogues table of the shard.
        ratings: Its ratings table.
        manifest: The encoder's.
        judge: The judge's name.
        store: The folder of the row store.
        output: The table.
        scratch: The folder on the node's own disk to copy the encoder to, if any.
        conversations: Whether the response is everything its speaker said from the candidate on.
        reasoning: Whether what was thought before it is a part of it.
        long: What becomes of a text that is longer than the encoder reads; see `Encoder`.
    """
    from wim.cluster.gpu_checks import check_gpus
    from wim.engines.memory import explain_memory
    from wim.models.manifest import read_manifest
    from wim.models.opening import opened_folder
    from wim.store.rows import RowStore

    rows = _judged(dialogues, ratings, conversations, reasoning)
    digest = read_manifest(manifest).digest
    named = [row for row in rows if row["status"] == Status.OK]
    wanted = _texts(rows)
    with RowStore(store, vector_schema()) as vectors:

        def open_encoder() -> Encoder:
            check_gpus()
            return Encoder(opened_folder(manifest, scratch), long)

        encoder = StoredEncoder(
            open_encoder,
            vectors,
            digest,
            long,
        )
        with explain_memory(store.name, "with one text at a time"):
            encoded = encoder.encode(wanted)
    distinct = len(set(wanted))
    logger.info(
        "embeddings: %d rows of %d distinct texts, %d from the store, %d embedded; "
        "%d longer than the encoder reads",
        len(rows),
        distinct,
        distinct - encoder.computed,
        encoder.computed,
        sum(encoded.truncated),
    )
    read = {
        texts: texts_read(encoded.truncated[part], encoded.unknown[part])
        for texts, part in (
            ("responses", slice(len(rows))),
            ("critiques", slice(len(rows), None)),
        )
    }
    for warning in reading_warnings(read):
        logger.warning("embeddings: %s", warning)
    content = _columns(rows, [row["candidate_id"] for row in named], encoded, judge, digest)
    write_table(output, embeddings_table(encoded.vectors.shape[1]), content)


def rows_wanted(
    dialogues: Path,
    ratings: Path,
    manifest: Path,
    store: Path,
    conversations: bool = False,
    reasoning: bool = False,
    long: Long = "cut",
) -> tuple[int, int]:
    """The number of distinct texts that embed_critiques would encode, and of those unknown.

    No encoder is opened.

    Args:
        dialogues, ratings, manifest, store, conversations, reasoning, long: As in
            embed_critiques.
    """
    from wim.models.manifest import read_manifest
    from wim.store.rows import RowStore

    def no_encoder() -> NoReturn:
        raise AssertionError("texts are counted, not encoded")

    texts = set(_texts(_judged(dialogues, ratings, conversations, reasoning)))
    with RowStore(store, vector_schema()) as vectors:
        encoder = StoredEncoder(no_encoder, vectors, read_manifest(manifest).digest, long)
        return len(texts), len(texts) - encoder.known(texts)


def _judged(
    dialogues: Path, ratings: Path, conversations: bool, reasoning: bool
) -> list[dict[str, Any]]:
    """Each rated candidate's id, status, critique (`wim`) and response (`completion`), by id."""
    from wim.dialogues.conversations import read_judged
    from wim.tables.schemas import DIALOGUES

    judged = read_table(ratings, RATINGS, ["candidate_id", "status", "wim"])
    rows: list[dict[str, Any]]
    if conversations or reasoning:
        read = read_judged(dialogues, conversations, reasoning)
        responses = {row.candidate_id: row.completion for row in read}
        rows = judged.sort_by("candidate_id").to_pylist()
        return [row | {"completion": responses[row["candidate_id"]]} for row in rows]
    texts = read_table(dialogues, DIALOGUES, ["candidate_id", "completion"])
    rows = judged.join(texts, "candidate_id").sort_by("candidate_id").to_pylist()
    return rows


def _texts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The responses of rated candidates, then the critiques that name something missing."""
    critiques = [row["wim"] for row in rows if row["status"] == Status.OK]
    return [row["completion"] for row in rows] + critiques


def _columns(
    rows: Sequence[Mapping[str, Any]],
    named: Sequence[str],
    encoded: Encoded,
    judge: str,
    digest: str,
) -> "pa.Table":
    """The embeddings table.

    Args:
        rows: The rated candidates.
        named: The ids of those whose critique names something missing.
        encoded: The vectors of the rows' responses, then those of the named ones' critiques.
        judge: The judge's name.
        digest: The encoder's.
    """
    import pyarrow as pa

    count = len(rows)
    critique = {
        name: (encoded.vectors[place], encoded.truncated[place], encoded.unknown[place])
        for place, name in enumerate(named, start=count)
    }
    found = [critique.get(row["candidate_id"], (None, False, None)) for row in rows]
    columns = [
        [row["candidate_id"] for row in rows],
        [judge] * count,
        list(encoded.vectors[:count]),
        [vector for vector, _, _ in found],
        encoded.truncated[:count],
        [truncated for _, truncated, _ in found],
        encoded.unknown[:count],
        [unknown for _, _, unknown in found],
        [digest] * count,
    ]
    schema = embeddings_table(encoded.vectors.shape[1]).schema
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)
