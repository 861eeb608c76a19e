"""Comparisons: what a judge of pairs says of two candidates of one context, in both orders.

Reads results/dialogues/<policy>/<shard>.parquet of one policy or two, the judge's manifest and
template. Writes results/comparisons/<comparison>/<judge>/<shard>.parquet; the comparison `labelled`
is that of the pairs that people have labelled.
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
        judge=judge.told(),
        per_context=named and named.per_context,
        seed=CONFIG.seed,
        **(model.answering | model.choosing),
    )


rule compare_candidates:
    """Let a judge of pairs compare a shard of candidates, in both orders."""
    input:
        dialogues=behind_shards(dialogues_of_comparison),
        manifest=manifest_of_judge,
        templates=templates_of_judge,
    output:
        comparisons="results/comparisons/{comparison}/{judge}/{shard}.parquet",
    log:
        "logs/compare_candidates/{comparison}/{judge}/{shard}.log",
    benchmark:
        "benchmarks/compare_candidates/{comparison}/{judge}/{shard}.tsv"
    wildcard_constraints:
        comparison=one_of([*CONFIG.comparisons, "labelled"]),
        judge=one_of(JUDGES_OF_PAIRS),
    threads: threads_of_shard
    resources:
        batch_size=64,
    params:
        spec=spec_of_comparison,
        # Snakemake compares no params of such a type; see rate_candidates.
        model=lambda wildcards: CONFIG.source_of(CONFIG.judges[wildcards.judge].model),
        code=code_of("compare_candidates"),
    script:
        "../workflow/scripts/compare_candidates.py"


rule comparisons:
    """All comparisons of the configuration."""
    input:
        [
            path
            for name, comparison in CONFIG.comparisons.items()
            for path in shards_of_comparison(name, comparison.judge)
        ],
    localrule: True
