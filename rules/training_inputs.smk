"""What training reads, by wildcards.

Reads the configuration; writes nothing.
"""


def manifest_of_start(wildcards):
    """The manifest of the model that the arm's training starts from."""
    return manifest_of_model(CONFIG.start_of(wildcards.arm))


def shards_behind_sft(wildcards):
    """The dialogues that a fine-tuning learns from; none where it learns references."""
    policy = CONFIG.sft[wildcards.sft].completions
    shards = [] if policy == "references" else SHARDS
    return [f"results/dialogues/{policy}/{shard}.parquet" for shard in shards]


def pairs_behind_reward_model(wildcards):
    """The pairs that a reward model learns from."""
    arm = CONFIG.reward_models[wildcards.reward_model].arm
    return f"results/pairs/{arm}/round1.parquet"
