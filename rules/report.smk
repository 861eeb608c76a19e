"""The summary: what the judges and rewards did, and how training went.

Reads dialogues, ratings, embeddings, rewards, pairs' exclusions and training metrics of the first
round. Writes results/report/: an audit of each judge's critiques, and summary.json, summary.md and
three figures.
"""


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
        exclusions=behind_shards(of_arms("results/pairs/{arm}/round1.exclusions.json")),
        metrics=behind_shards(of_arms("results/checkpoints/{arm}/round1/metrics.jsonl")),
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
                    name: reward.told(CONFIG.seed)["reward"]
                    for name, reward in CONFIG.rewards.items()
                },
                arms={
                    name: {
                        "reward": arm.labelled_by,
                        "loss": CONFIG.arm_training(name).loss_label,
                    }
                    for name, arm in CONFIG.arms.items()
                },
                **told_of_trained(),
            )
        ),
        code=code_of("summary"),
    script:
        "../workflow/scripts/summary.py"
