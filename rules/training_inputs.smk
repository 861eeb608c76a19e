"""What training and the gate before it read, by wildcards.

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


def labelled_pairs(wildcards):
    """The file of pairs that people have labelled."""
    if CONFIG.gate.pairs is None:
        raise WorkflowError(
            "config: gate.pairs is empty; write the path of a file of labelled pairs in LLMBar's"
            " format: a JSON list of {input, output_1, output_2, label}."
        )
    return file_at(CONFIG.gate.pairs, "gate.pairs")


def proof_of_reward(wildcards):
    """The note that the arm's reward has passed the gate, where there is a bar."""
    if CONFIG.gate.bar is None:
        return []
    return f"results/evaluation/passed/{CONFIG.arms[wildcards.arm].reward}.txt"
