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


def judge_of_arm(wildcards):
    """The judge behind the arm's reward."""
    return CONFIG.rewards[CONFIG.arms[wildcards.arm].reward].judge


def encoder_of_arm(wildcards):
    """The encoder's manifest, if the arm's reward is made of vectors."""
    reward = CONFIG.rewards[CONFIG.arms[wildcards.arm].reward]
    needed = "embeddings" in reward.reads
    return [manifest_of_model(CONFIG.embeddings.encoder)] if needed else []


def spec_of_online_training(wildcards):
    """The arm's training, and all that draws and labels its pairs, but for models and templates."""
    arm = CONFIG.arms[wildcards.arm]
    name = judge_of_arm(wildcards)
    judge, reward = CONFIG.judges[name], CONFIG.rewards[arm.reward]
    model = CONFIG.source_of(judge.model)
    training = CONFIG.arm_training(wildcards.arm)
    return spec(
        training=training,
        pairs=CONFIG.arm_pairs(wildcards.arm),
        dialogues=CONFIG.dialogues.identity(),
        judge=judge.identity(),
        reward=reward.identity(CONFIG.seed)["reward"],
        answering=model.answering | model.choosing,
        seed=CONFIG.arm_seed(wildcards.arm),
        judging_seed=CONFIG.seed,
        names={
            "arm": wildcards.arm,
            "round": int(wildcards.round),
            "reward": arm.reward,
            "judge": name,
        },
        **prompts_of_sft(wildcards.arm),
        behind=card_settings(CONFIG.behind_pairs(wildcards.arm)),
        **CONFIG.source_of(CONFIG.start_of(wildcards.arm)).below(training.lora),
    )


def prompts_of_sft(arm):
    """The share of prompts that the arm's model was fine-tuned on, where others are left for pairs."""
    sft = CONFIG.sft.get(CONFIG.start_of(arm))
    return {"sft_prompts": sft.prompts} if sft and sft.prompts < 1 else {}
