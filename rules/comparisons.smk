"""Comparisons: what a judge of pairs says of two candidates of one context, in both orders.

Reads results/dialogues/<policy>/<shard>.parquet of one policy or two, the judge's manifest and
template. Writes results/comparisons/<comparison>/<judge>/<shard>.parquet; the comparison `labelled`
is that of the pairs that people have labelled.
"""


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
