"""The summary: what the judges and rewards did, and how training went.

Reads dialogues, ratings, rewards, pairs' exclusions and training metrics of the first round.
Writes results/report/: summary.json, summary.md and two figures.
"""


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
    output:
        table="results/report/summary.json",
        text="results/report/summary.md",
        rewards="results/report/rewards.svg",
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
