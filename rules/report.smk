"""The summary: what the judges and rewards did, and how training went.

Reads dialogues, ratings, embeddings and rewards of the first round, pairs' exclusions and training
metrics of all rounds. Writes results/report/: an audit of each judge's critiques; summary.json,
summary.md and three figures; of several rounds rounds.json and rounds.md, of grids sweep.json,
sweep.md and sweep.svg.
"""

from wim.settings.grid import axes_of_arms


rule audit_critiques:
    """Look at a judge's critiques: do they speak of the response?"""
    input:
        dialogues=behind_shards(shards_of_dialogues),
        ratings=behind_shards(shards_of_judge("ratings")),
        embeddings=behind_shards(shards_of_judge("embeddings")),
        template=lambda wildcards: templates_of_judge(wildcards)[0],
    output:
        audit="results/report/critiques/{judge}.json",
    log:
        "logs/audit_critiques/{judge}.log",
    wildcard_constraints:
        judge=one_of(CRITICS),
    localrule: True
    params:
        spec=spec(seed=CONFIG.seed),
        code=code_of("audit_critiques"),
    script:
        "../workflow/scripts/audit_critiques.py"


rule summary:
    """Compare the rewards, and show the course of training."""
    input:
        dialogues=behind_shards(shards_of_dialogues),
        ratings=behind_shards(rules.ratings.input),
        rewards=behind_shards(rules.rewards.input),
        exclusions=behind_shards(
            of_rounds("results/pairs/{arm}/round{round}.exclusions.json")
        ),
        metrics=behind_shards(
            of_rounds("results/checkpoints/{arm}/round{round}/metrics.jsonl")
        ),
        fine_tunings=behind_shards(
            expand("results/checkpoints/sft/{sft}/metrics.jsonl", sft=CONFIG.sft)
        ),
        reward_models=behind_shards(
            expand(
                "results/reward_models/{model}/evaluation.json",
                model=CONFIG.reward_models,
            )
        ),
        audits=behind_shards(
            expand("results/report/critiques/{judge}.json", judge=CRITICS)
        ),
    output:
        table="results/report/summary.json",
        text="results/report/summary.md",
        rewards="results/report/rewards.svg",
        critiques="results/report/critiques.svg",
        training="results/report/training.svg",
    log:
        "logs/summary.log",
    localrule: True
    params:
        spec=literally(
            spec(
                rewards={
                    name: reward.identity(CONFIG.seed)["reward"]
                    for name, reward in CONFIG.rewards.items()
                },
                arms={
                    name_of_round(arm, number): {
                        "reward": CONFIG.arms[arm].labelled_by,
                        "loss": CONFIG.arm_training(arm, number).loss_label,
                    }
                    for arm, number in rounds_of_arms()
                },
                **told_of_trained(),
            )
        ),
        code=code_of("summary"),
    script:
        "../workflow/scripts/summary.py"


rule rounds:
    """Set the rounds of each arm that has several one below the other."""
    input:
        rewards=behind_shards(
            [
                f"results/rewards/{policy_of_round(arm, number)}/{CONFIG.arms[arm].reward}.parquet"
                for arm, number in SEVERAL_ROUNDS
            ]
        ),
        pairs=behind_shards(
            of_rounds("results/pairs/{arm}/round{round}.parquet", SEVERAL_ROUNDS)
        ),
        exclusions=behind_shards(
            of_rounds(
                "results/pairs/{arm}/round{round}.exclusions.json", SEVERAL_ROUNDS
            )
        ),
        metrics=behind_shards(
            of_rounds(
                "results/checkpoints/{arm}/round{round}/metrics.jsonl", SEVERAL_ROUNDS
            )
        ),
    output:
        table="results/report/rounds.json",
        text="results/report/rounds.md",
    log:
        "logs/rounds.log",
    localrule: True
    params:
        spec=spec(rounds=SEVERAL_ROUNDS),
        code=code_of("rounds"),
    script:
        "../workflow/scripts/rounds.py"


rule sweep:
    """Set the arms of grids side by side."""
    input:
        metrics=behind_shards(
            of_last_rounds("results/checkpoints/{arm}/round{round}/metrics.jsonl")
        ),
    output:
        table="results/report/sweep.json",
        text="results/report/sweep.md",
        figure="results/report/sweep.svg",
    log:
        "logs/sweep.log",
    localrule: True
    params:
        spec=literally(spec(arms=list(CONFIG.arms), grids=axes_of_arms(CONFIG.grid))),
        code=code_of("sweep"),
    script:
        "../workflow/scripts/sweep.py"
