"""What the rules request of a machine."""

from collections.abc import Callable, Mapping

from wim.dag.inputs import Wildcards

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


def falling_batch_size(
    rule: str, needs_whole: Callable[[Wildcards], bool] = lambda _: False
) -> Callable[[Wildcards, int], int]:
    """The resource batch_size of a training that is retried: half as many rows with each attempt.

    Args:
        rule: The rule.
        needs_whole: Whether a job's loss depends on which rows share a forward pass.
    """

    def batch_size(wildcards: Wildcards, attempt: int) -> int:
        size = BATCH_SIZES[rule]
        return size if needs_whole(wildcards) else max(1, size >> (attempt - 1))

    return batch_size
