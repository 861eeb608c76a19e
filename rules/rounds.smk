"""Rounds: the prompts of each, and whether an arm has converged.

Reads results/prompts/shards/<shard>.parquet; of two rounds the pairs and the training's metrics.
Writes results/prompts/rounds/<arm>/round<r>/<shard>.parquet, where a round does not take all prompts,
and results/rounds/<arm>/round<r>.json, where an arm may stop.
"""


rule select_prompts:
    """Take the prompts of a round from a shard; none once the arm has stopped."""
    input:
        prompts=behind_shards("results/prompts/shards/{shard}.parquet"),
        verdicts=lambda wildcards: verdicts_before(wildcards.arm, int(wildcards.round)),
    output:
        prompts="results/prompts/rounds/{arm}/round{round}/{shard}.parquet",
    log:
        "logs/select_prompts/{arm}/round{round}/{shard}.log",
    localrule: True
    params:
        spec=lambda wildcards: spec(
            number=int(wildcards.round),
            slices=CONFIG.arm_rounds(wildcards.arm).slices_of_prompts,
        ),
        code=code_of("select_prompts"),
    script:
        "../workflow/scripts/select_prompts.py"


rule check_convergence:
    """See whether a round has moved what its arm is to be stopped by."""
    input:
        pairs=behind_shards(both_rounds("results/pairs/{arm}/round{round}.parquet")),
        metrics=both_rounds("results/checkpoints/{arm}/round{round}/metrics.jsonl"),
        verdicts=lambda wildcards: verdicts_before(wildcards.arm, int(wildcards.round)),
    output:
        verdict="results/rounds/{arm}/round{round}.json",
    log:
        "logs/check_convergence/{arm}/round{round}.log",
    localrule: True
    params:
        spec=lambda wildcards: spec(
            number=int(wildcards.round), stop=CONFIG.arm_rounds(wildcards.arm).stop
        ),
        code=code_of("check_convergence"),
    script:
        "../workflow/scripts/check_convergence.py"
