"""The encoder of recorded critiques, with the vectors that the workflow keeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wim.settings.embeddings import Long

if TYPE_CHECKING:
    from wim.embedding.encoder import StoredEncoder


@contextmanager
def opened_encoder(
    manifest: Path, store: Path, scratch: str | None, long: Long
) -> Iterator["StoredEncoder"]:
    """The encoder with its store of vectors; it is loaded if a vector is missing.

    Args:
        manifest: The encoder's.
        store: The row store of embeddings.
        scratch, long: As in `embed_critiques`.
    """
    from wim.embedding.encoder import Encoder, StoredEncoder, vector_schema
    from wim.models.manifest import read_manifest
    from wim.models.opening import opened_folder
    from wim.store.rows import RowStore

    with RowStore(store, vector_schema()) as vectors:
        yield StoredEncoder(
            lambda: Encoder(opened_folder(manifest, scratch), long),
            vectors,
            read_manifest(manifest).digest,
            long,
        )
