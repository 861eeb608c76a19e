"""Rewards: each candidate's score, by name. No model is loaded.

Reads dialogues of all shards, and the ratings and embeddings where the reward is made of them; a
panel reads its members' rewards.
Writes results/rewards/<policy>/<reward>.parquet.
"""


rule score_candidates:
    """Compute a reward for every candidate."""
    input:
        dialogues=after_sharding(inputs.dialogue_shards),
        ratings=after_sharding(rewards.ratings),
        embeddings=after_sharding(rewards.embeddings),
    output:
        rewards=paths.REWARDS,
    log:
        paths.log("score_candidates/{policy}/{reward}"),
    wildcard_constraints:
        reward=one_of(rewards.scored),
    localrule: True
    params:
        spec=specs.reward,
        code=code_of("score_candidates"),
    script:
        "../workflow/scripts/score_candidates.py"


rule score_by_critique:
    """Compute a reward that reads the critique's words, or several judgements, of every candidate."""
    input:
        dialogues=after_sharding(inputs.dialogue_shards),
        ratings=after_sharding(rewards.ratings),
        embeddings=after_sharding(rewards.embeddings),
        heads=rewards.heads,
    output:
        rewards=paths.REWARDS,
    log:
        paths.log("score_by_critique/{policy}/{reward}"),
    wildcard_constraints:
        reward=one_of(rewards.by_critique),
    localrule: True
    params:
        spec=specs.reward_by_critique,
        code=code_of("score_by_critique"),
    script:
        "../workflow/scripts/score_by_critique.py"


rule score_by_aspect:
    """Compute a reward of a judge that rates several aspects, of every candidate."""
    input:
        dialogues=after_sharding(inputs.dialogue_shards),
        aspects=after_sharding(rewards.aspects),
    output:
        rewards=paths.REWARDS,
    log:
        paths.log("score_by_aspect/{policy}/{reward}"),
    wildcard_constraints:
        reward=one_of(rewards.by_aspect),
    localrule: True
    params:
        spec=specs.reward_by_aspect,
        code=code_of("score_by_aspect"),
    script:
        "../workflow/scripts/score_by_aspect.py"


rule combine_rewards:
    """Take several rewards of every candidate together, as a panel."""
    input:
        members=after_sharding(rewards.members),
    output:
        rewards=paths.REWARDS,
    log:
        paths.log("combine_rewards/{policy}/{reward}"),
    wildcard_constraints:
        reward=one_of(rewards.panels),
    localrule: True
    params:
        spec=specs.reward,
        code=code_of("combine_rewards"),
    script:
        "../workflow/scripts/combine_rewards.py"


rule rewards:
    """All rewards of the first round."""
    input:
        tables=rewards.tables("base"),
    localrule: True
