"""What comparisons by judges of pairs read and are told, by wildcards.

Reads the configuration; writes nothing.
"""


def policies_of(comparison):
    """The policies whose candidates meet."""
    if comparison == "labelled":
        return ["labelled"]
    return CONFIG.comparisons[comparison].between


def dialogues_of_comparison(wildcards):
    """The shard's dialogues of each policy that is compared."""
    return [
        f"results/dialogues/{policy}/{wildcards.shard}.parquet"
        for policy in policies_of(wildcards.comparison)
    ]


def shards_of_comparison(comparison, judge):
    """All shards of a comparison by a judge."""
    folder = f"results/comparisons/{comparison}/{judge}"
    return [f"{folder}/{shard}.parquet" for shard in SHARDS]


def comparisons_of_arm(wildcards):
    """The comparisons that label the arm's pairs."""
    name = CONFIG.arms[wildcards.arm].comparison
    return shards_of_comparison(name, CONFIG.comparisons[name].judge)


def dialogues_of_compared_arm(wildcards):
    """All shards of the dialogues that the arm's comparison is of, policy by policy."""
    policies = policies_of(CONFIG.arms[wildcards.arm].comparison)
    return expand(
        "results/dialogues/{policy}/{shard}.parquet", policy=policies, shard=SHARDS
    )


def spec_of_compared_pairs(wildcards):
    """What the arm's pairs are made by, and the names that its rows carry."""
    name = CONFIG.arms[wildcards.arm].comparison
    return spec(
        pairs=CONFIG.arm_pairs(wildcards.arm).model_dump(
            mode="json", include={"min_margin"}
        ),
        between=CONFIG.comparisons[name].between,
        names={"judge": CONFIG.comparisons[name].judge, "reward": name},
        **prompts_of_sft(wildcards.arm),
    )


def spec_of_comparison(wildcards):
    """What the judge was told and uses, and which candidates meet."""
    judge = CONFIG.judges[wildcards.judge]
    model = CONFIG.source_of(judge.model)
    named = CONFIG.comparisons.get(wildcards.comparison)
    return spec(
        judge=judge.identity(),
        per_context=named and named.per_context,
        seed=CONFIG.seed,
        **(model.answering | model.choosing),
    )
