"""Ratings: what is missing from each candidate, and a number, by each judge.

Reads results/dialogues/<policy>/<shard>.parquet, the judge's manifest and templates.
Writes results/ratings/<policy>/<judge>/<shard>.parquet.
"""


rule rate_candidates:
    """Let a judge read a shard of candidates."""
    input:
        dialogues=behind_shards("results/dialogues/{policy}/{shard}.parquet"),
        manifest=manifest_of_judge,
        templates=templates_of_judge,
    output:
        ratings="results/ratings/{policy}/{judge}/{shard}.parquet",
    log:
        "logs/rate_candidates/{policy}/{judge}/{shard}.log",
    benchmark:
        "benchmarks/rate_candidates/{policy}/{judge}/{shard}.tsv"
    wildcard_constraints:
        judge=one_of(RATING_JUDGES),
    threads: threads_of_shard
    resources:
        batch_size=64,
    params:
        spec=spec_of_judge,
        # Snakemake compares no params of such a type, so that where and how fast a model is asked
        # reruns nothing; the spec has what decides the answers.
        model=lambda wildcards: CONFIG.judge_model(wildcards.judge, wildcards.policy),
        code=code_of("rate_candidates"),
    script:
        "../workflow/scripts/rate_candidates.py"


rule ratings:
    """All judges' ratings of the first round."""
    input:
        expand(
            "results/ratings/base/{judge}/{shard}.parquet",
            judge=RATING_JUDGES,
            shard=SHARDS,
        ),
    localrule: True
