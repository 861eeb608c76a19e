"""Which training prompts fine-tuning learns from, and so which are left to preferences."""

from wim.provenance.digest import seed_of

SEED_BITS = 60


def learns_from(prompt_id: str, share: float) -> bool:
    """Whether a training prompt is among the share that fine-tuning takes, by its hash.

    A larger share has the prompts of a smaller one, whatever the run's seed.
    """
    return seed_of(0, "sft", prompt_id) < share * float(2**SEED_BITS)
