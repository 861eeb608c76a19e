"""Dialogues: the candidates that the judges will see.

Reads results/prompts/shards/<shard>.parquet and the policy's manifest; asks the row store first.
Writes results/dialogues/<policy>/<shard>.parquet.
"""


rule generate_dialogues:
    """Draw completions for a shard of prompts."""
    input:
        prompts=behind_shards("results/prompts/shards/{shard}.parquet"),
        manifests=manifests_of_speakers,
        templates=[
            file_at(path, "dialogues.templates")
            for path in CONFIG.dialogues.template_paths
        ],
    output:
        dialogues="results/dialogues/{policy}/{shard}.parquet",
    log:
        "logs/generate_dialogues/{policy}/{shard}.log",
    benchmark:
        "benchmarks/generate_dialogues/{policy}/{shard}.tsv"
    wildcard_constraints:
        policy=r"base|.+-round\d+",
    threads: threads_of_shard
    resources:
        batch_size=64,
    params:
        # A function, since Snakemake would read braces in a text as wildcards.
        spec=lambda wildcards: spec(
            dialogues=CONFIG.dialogues.told(),
            answering=[CONFIG.models[name].answering for name in speakers()],
            seed=CONFIG.seed,
        ),
        # Snakemake compares no params of such a type; see rate_candidates.
        actor=CONFIG.models[CONFIG.dialogues.actor],
        partner=CONFIG.models[CONFIG.dialogues.partner or CONFIG.dialogues.actor],
        code=code_of("generate_dialogues"),
    script:
        "../workflow/scripts/generate_dialogues.py"


rule dialogues:
    """All dialogues of the first round."""
    input:
        expand("results/dialogues/base/{shard}.parquet", shard=SHARDS),
    localrule: True
