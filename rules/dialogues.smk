"""Dialogues: the candidates that the judges will see.

Reads a shard of prompts and the policy's manifest; rows in the row store are not generated again.
Writes results/dialogues/<policy>/<shard>.parquet.
"""


rule generate_dialogues:
    """Generate completions for a shard of prompts."""
    input:
        prompts=after_sharding(rounds.prompts_of_policy),
        manifests=inputs.manifests_of_speakers,
        templates=inputs.dialogue_templates,
    output:
        dialogues=paths.DIALOGUES,
    log:
        paths.log("generate_dialogues/{policy}/{shard}"),
    benchmark:
        paths.benchmark("generate_dialogues/{policy}/{shard}")
    wildcard_constraints:
        policy=inputs.policy_pattern,
    threads: THREADS_OF_SHARD
    resources:
        batch_size=BATCH_SIZES["generate_dialogues"],
    params:
        spec=specs.dialogues,
        untracked=untracked.speakers,
        code=code_of("generate_dialogues"),
    script:
        "../workflow/scripts/generate_dialogues.py"


rule dialogues:
    """All dialogues of the first round, and those of further policies."""
    input:
        shards=[
            path for policy in inputs.policies for path in inputs.dialogues_of(policy)
        ],
    localrule: True
