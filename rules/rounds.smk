"""Rounds: the prompts of each, and whether an arm has converged.

Reads results/prompts/shards/<shard>.parquet; of two rounds the pairs and the training's metrics.
Writes results/prompts/rounds/<arm>/round<r>/<shard>.parquet, where a round does not take all prompts,
and results/rounds/<arm>/round<r>.json, where an arm may stop.
"""


rule select_prompts:
    """Take the prompts of a round from a shard; none once the arm has stopped."""
    input:
        prompts=after_sharding(paths.PROMPT_SHARD),
        verdicts=rounds.verdicts,
    output:
        prompts=paths.ROUND_PROMPTS,
    log:
        paths.log("select_prompts/{arm}/round{round}/{shard}"),
    localrule: True
    params:
        spec=specs.selection,
        code=code_of("select_prompts"),
    script:
        "../workflow/scripts/select_prompts.py"


rule check_convergence:
    """See whether a round has changed the metric by which its arm stops."""
    input:
        pairs=after_sharding(with_previous_round(paths.PAIRS)),
        metrics=with_previous_round(paths.CHECKPOINT_METRICS),
        verdicts=rounds.verdicts,
    output:
        verdict=paths.CONVERGENCE,
    log:
        paths.log("check_convergence/{arm}/round{round}"),
    localrule: True
    params:
        spec=specs.convergence,
        code=code_of("check_convergence"),
    script:
        "../workflow/scripts/check_convergence.py"
