"""How prompts are divided: into shards, slices and shares, each by the prompt's id alone.

No prompt moves because another one is added, edited or removed.
"""

from wim.provenance.digest import SEED_BITS, digest_of, seed_of

SHARE_DIGITS = 13  # 52 bits, so that a share is an exact float below 1.


def shard_of(prompt_id: str, shards: int) -> int:
    """The shard of a prompt, 0 to shards - 1: the first 64 bits of its id, modulo `shards`."""
    return int(prompt_id[:16], 16) % shards


def slice_of(prompt_id: str, slices: int) -> int:
    """The slice of a prompt, 1 to slices: the round that trains on it if rounds divide prompts."""
    return 1 + seed_of(0, "slice", prompt_id) % slices


def share_of(prompt_id: str, salt: str) -> float:
    """A prompt's fixed place in [0, 1), uniform over prompts and independent between salts."""
    return int(digest_of([salt, prompt_id])[:SHARE_DIGITS], 16) / float(16**SHARE_DIGITS)


def is_for_sft(prompt_id: str, share: float) -> bool:
    """Whether a training prompt is in the share that supervised fine-tuning trains on.

    The others are left to preferences. A larger share includes the prompts of a smaller one,
    whatever the run's seed.
    """
    return seed_of(0, "sft", prompt_id) < share * float(2**SEED_BITS)
