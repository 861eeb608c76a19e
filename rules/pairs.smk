"""Pairs: preferences between candidates of one context, per arm.

Reads the round's prompts, dialogues and what labels the arm: a reward, or comparisons.
Writes results/pairs/<arm>/round<r>.parquet and, beside it, the counts of what was left out.
"""

from wim.dag.training_specs import TrainingSpecs

training_specs = TrainingSpecs(inputs)


rule pair_candidates:
    """Pair candidates by the arm's reward."""
    input:
        prompts=after_sharding(rounds.prompts),
        dialogues=after_sharding(rounds.dialogues),
        rewards=after_sharding(rounds.rewards),
    output:
        pairs=paths.PAIRS,
        exclusions=paths.EXCLUSIONS,
    log:
        paths.log("pair_candidates/{arm}/round{round}"),
    wildcard_constraints:
        arm=one_of(arm for arm in inputs.offline_arms if arm not in comparisons.arms),
    localrule: True
    params:
        spec=training_specs.pairs,
        code=code_of("pair_candidates"),
    script:
        "../workflow/scripts/pair_candidates.py"


rule pair_compared:
    """Pair candidates as the arm's judge of pairs found them."""
    input:
        prompts=after_sharding(inputs.prompt_shards),
        dialogues=after_sharding(comparisons.dialogues_of_arm),
        comparisons=after_sharding(comparisons.of_arm),
    output:
        pairs=paths.PAIRS,
        exclusions=paths.EXCLUSIONS,
    log:
        paths.log("pair_compared/{arm}/round{round}"),
    wildcard_constraints:
        arm=one_of(comparisons.arms),
    localrule: True
    params:
        spec=training_specs.compared_pairs,
        code=code_of("pair_compared"),
    script:
        "../workflow/scripts/pair_compared.py"


rule pairs:
    """All arms' pairs of the first round."""
    input:
        tables=rounds.files(paths.PAIRS, [(arm, 1) for arm in inputs.offline_arms]),
    localrule: True
