"""What training reads, by wildcards.

Reads the configuration; writes nothing.
"""


def shards_behind_sft(wildcards):
    """The dialogues that a fine-tuning learns from; none where it learns references."""
    policy = CONFIG.sft[wildcards.sft].completions
    shards = [] if policy == "references" else SHARDS
    return [f"results/dialogues/{policy}/{shard}.parquet" for shard in shards]


def pairs_behind_reward_model(wildcards):
    """The pairs that a reward model learns from."""
    arm = CONFIG.reward_models[wildcards.reward_model].arm
    return f"results/pairs/{arm}/round1.parquet"


def prompts_of_sft(arm):
    """The share of prompts that the arm's model was fine-tuned on, where others are left for pairs."""
    sft = CONFIG.sft.get(CONFIG.start_of(arm))
    return {"sft_prompts": sft.prompts} if sft and sft.prompts < 1 else {}
