"""Rewards: each candidate's score, by name. No model is loaded.

Reads dialogues and ratings of all shards, and the embeddings where the reward is made of them; a
panel reads its members' rewards.
Writes results/rewards/<policy>/<reward>.parquet.
"""


rule score_candidates:
    """Compute a reward for every candidate."""
    input:
        dialogues=behind_shards(shards_of_dialogues),
        ratings=behind_shards(shards_behind_reward("ratings")),
        embeddings=behind_shards(shards_behind_reward("embeddings")),
    output:
        rewards="results/rewards/{policy}/{reward}.parquet",
    log:
        "logs/score_candidates/{policy}/{reward}.log",
    wildcard_constraints:
        reward=one_of(name for name in CONFIG.rewards if name not in PANELS),
    localrule: True
    params:
        spec=spec_of_reward,
        code=code_of("score_candidates"),
    script:
        "../workflow/scripts/score_candidates.py"


rule combine_rewards:
    """Take several rewards of every candidate together, as a panel."""
    input:
        members=behind_shards(rewards_of_panel),
    output:
        rewards="results/rewards/{policy}/{reward}.parquet",
    log:
        "logs/combine_rewards/{policy}/{reward}.log",
    wildcard_constraints:
        reward=one_of(PANELS),
    localrule: True
    params:
        spec=spec_of_reward,
        code=code_of("combine_rewards"),
    script:
        "../workflow/scripts/combine_rewards.py"


rule rewards:
    """All rewards of the first round."""
    input:
        expand("results/rewards/base/{reward}.parquet", reward=CONFIG.rewards),
    localrule: True
