"""Identity by content: digests of values and files, and what is made of them."""

import hashlib
import json
from pathlib import Path

SEED_BITS = 60  # Whole hex digits, and below the 63 bits of a positive int64.


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest_of(value: object) -> str:
    """SHA-256 (64 hex digits) of a JSON value's canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def row_id(value: object) -> str:
    """The first 32 hex digits (128 bits) of a value's digest, the ids of all tables."""
    return digest_of(value)[:32]


def digest_file(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seed_of(seed: int, *place: object) -> int:
    """A row's own seed (SEED_BITS bits), from the run's seed and the row's place in it."""
    return int(digest_of([seed, *place])[: SEED_BITS // 4], 16)
