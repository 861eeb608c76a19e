"""Dialogues: the candidates that the judges will see.

Reads results/prompts/shards/<shard>.parquet and the policy's manifest; asks the row store first.
Writes results/dialogues/<policy>/<shard>.parquet.
"""


rule generate_dialogues:
    """Draw completions for a shard of prompts."""
    input:
        prompts=behind_shards("results/prompts/shards/{shard}.parquet"),
        manifest=manifest_of_policy,
    output:
        dialogues="results/dialogues/{policy}/{shard}.parquet",
    log:
        "logs/generate_dialogues/{policy}/{shard}.log",
    benchmark:
        "benchmarks/generate_dialogues/{policy}/{shard}.tsv"
    threads: threads_of_shard
    resources:
        batch_size=64,
    params:
        # A function, since Snakemake would read braces in a text as wildcards.
        spec=lambda wildcards: spec(
            dialogues=CONFIG.dialogues.model_dump(mode="json", exclude={"actor"}),
            seed=CONFIG.seed,
            **CONFIG.models[CONFIG.dialogues.actor].answering,
        ),
        # Snakemake compares no params of such a type; see rate_candidates.
        model=CONFIG.models[CONFIG.dialogues.actor],
        code=code_of("generate_dialogues"),
    message:
        "{wildcards.policy} answers the prompts of shard {wildcards.shard}"
    script:
        "../workflow/scripts/generate_dialogues.py"


rule dialogues:
    """All dialogues of the first round."""
    input:
        expand("results/dialogues/base/{shard}.parquet", shard=SHARDS),
