"""Pairs: preferences between candidates of one context, per arm.

Reads the round's prompts, dialogues and what labels the arm: a reward, or comparisons.
Writes results/pairs/<arm>/round<r>.parquet and, beside it, the counts of what was left out.
"""


rule pair_candidates:
    """Set candidates against each other by the arm's reward."""
    input:
        prompts=behind_shards(prompts_of_round),
        dialogues=behind_shards(dialogues_of_round),
        rewards=behind_shards(rewards_of_round),
    output:
        pairs="results/pairs/{arm}/round{round}.parquet",
        exclusions="results/pairs/{arm}/round{round}.exclusions.json",
    log:
        "logs/pair_candidates/{arm}/round{round}.log",
    wildcard_constraints:
        arm=one_of(name for name in OFFLINE if name not in COMPARED_ARMS),
    localrule: True
    params:
        spec=spec_of_pairs,
        code=code_of("pair_candidates"),
    script:
        "../workflow/scripts/pair_candidates.py"


rule pair_compared:
    """Set candidates against each other as the arm's judge of pairs found them."""
    input:
        prompts=behind_shards(shards_of_prompts),
        dialogues=behind_shards(dialogues_of_compared_arm),
        comparisons=behind_shards(comparisons_of_arm),
    output:
        pairs="results/pairs/{arm}/round{round}.parquet",
        exclusions="results/pairs/{arm}/round{round}.exclusions.json",
    log:
        "logs/pair_compared/{arm}/round{round}.log",
    wildcard_constraints:
        arm=one_of(COMPARED_ARMS),
    localrule: True
    params:
        spec=spec_of_compared_pairs,
        code=code_of("pair_compared"),
    script:
        "../workflow/scripts/pair_compared.py"


rule pairs:
    """All arms' pairs of the first round."""
    input:
        expand("results/pairs/{arm}/round1.parquet", arm=OFFLINE),
    localrule: True
