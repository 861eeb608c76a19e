"""What rewards, the gate that measures them and the report on them read, by wildcards.

Reads the configuration; writes nothing.
"""


def shards_behind_reward(stage):
    """The stage's shards of a policy by the judge of a reward, if it is made of them."""

    def files(wildcards):
        reward = CONFIG.rewards[wildcards.reward]
        shards = SHARDS if stage in reward.reads else []
        folder = f"results/{stage}/{wildcards.policy}/{reward.judge}"
        return [f"{folder}/{shard}.parquet" for shard in shards]

    return files


def rewards_of_panel(wildcards):
    """The rewards tables of a panel's members, in its order."""
    folder = f"results/rewards/{wildcards.policy}"
    return [f"{folder}/{name}.parquet" for name in CONFIG.rewards[wildcards.reward].of]


def shards_of_judge(stage):
    """The stage's shards by the judge; embeddings only where a reward is made of them."""

    def files(wildcards):
        reading = [
            reward.judge
            for reward in CONFIG.rewards.values()
            if "embeddings" in reward.reads
        ]
        wanted = stage == "ratings" or wildcards.judge in reading
        folder = f"results/{stage}/base/{wildcards.judge}"
        return [f"{folder}/{shard}.parquet" for shard in SHARDS if wanted]

    return files


def labelled_pairs(wildcards):
    """The file of pairs that people have labelled."""
    if CONFIG.gate.pairs is None:
        raise WorkflowError(
            "config: gate.pairs is empty; write the path of a file of labelled pairs in LLMBar's"
            " format: a JSON list of {input, output_1, output_2, label}."
        )
    return file_at(CONFIG.gate.pairs, "gate.pairs")


def rewards_again(wildcards):
    """The rewards of the pairs that are judged a second time."""
    again = CONFIG.rewards if CONFIG.gate.retest else []
    return [f"results/rewards/retest/{reward}.parquet" for reward in again]


def labelled_comparisons(wildcards):
    """What the judges of pairs say of the labelled pairs, judge by judge."""
    return [
        path
        for judge in JUDGES_OF_PAIRS
        for path in shards_of_comparison("labelled", judge)
    ]


def spec_of_labelled(wildcards):
    """Which of the pairs are taken: all, or some of them to be judged again."""
    if wildcards.policy == "labelled":
        return spec()
    return spec(share=CONFIG.gate.retest, seed=CONFIG.seed)


def proof_of_reward(wildcards):
    """The note that the arm's reward has passed the gate, where there is a bar."""
    if CONFIG.gate.bar is None:
        return []
    arm = CONFIG.arms[wildcards.arm]
    judge = arm.comparison and CONFIG.comparisons[arm.comparison].judge
    return f"results/evaluation/passed/{arm.reward or f'pairs/{judge}'}.txt"
