"""Dialogues: the candidates that the judges will see.

Reads a shard of prompts and the policy's manifest; asks the row store first.
Writes results/dialogues/<policy>/<shard>.parquet.
"""


rule generate_dialogues:
    """Draw completions for a shard of prompts."""
    input:
        prompts=behind_shards(prompts_of_policy),
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
        policy=SPEAKING,
    threads: threads_of_shard
    resources:
        batch_size=64,
    params:
        spec=spec_of_dialogues,
        models=lambda wildcards: asked(speakers(wildcards.policy)),
        code=code_of("generate_dialogues"),
    script:
        "../workflow/scripts/generate_dialogues.py"


rule dialogues:
    """All dialogues of the first round, and those of further policies."""
    input:
        expand(
            "results/dialogues/{policy}/{shard}.parquet",
            policy=["base", *CONFIG.policies],
            shard=SHARDS,
        ),
    localrule: True
