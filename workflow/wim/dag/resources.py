"""What the rules request of a machine."""

from collections.abc import Mapping

# Rows, texts or pairs that a job of a rule holds in memory at once, before --set-resources.
BATCH_SIZES: Mapping[str, int] = {
    "create_topics": 64,
    "generate_dialogues": 64,
    "rate_candidates": 64,
    "rate_samples": 64,
    "rate_aspects": 64,
    "rate_by_label": 64,
    "compare_candidates": 64,
    "measure_kl": 1,
    "run_harness": 16,
    "train_dpo": 8,
    "train_own_loss": 8,
    "propose_loss": 1,
    "train_discovered": 8,
    "train_online_dpo": 8,
    "train_sft": 8,
    "train_reward_model": 8,
}
# An encoder reads one text at a time (docs/design/decisions/one-text-at-a-time.md).
RUN_A_MODEL = frozenset({*BATCH_SIZES, "embed_critiques", "fit_heads", "reward_study"})
# Seconds between two saved states of a training.
SAVE_SECONDS = 300


def threads_of_shard(cores: int, shards: int) -> int:
    """A shard's share of the cores, at least one: the jobs of a stage's shards run side by side."""
    return max(1, cores // shards)
