"""Training: from an arm's pairs to its checkpoint.

Reads results/pairs/<arm>/round<r>.parquet and the manifest of the model it starts from.
Writes results/checkpoints/<arm>/round<r>/.
"""


rule train_dpo:
    """Train the actor on an arm's pairs."""
    input:
        pairs=behind_shards("results/pairs/{arm}/round{round}.parquet"),
        manifest=manifest_of_model(CONFIG.dialogues.actor),
        proof=proof_of_reward,
    output:
        manifest="results/checkpoints/{arm}/round{round}/manifest.json",
        metrics="results/checkpoints/{arm}/round{round}/metrics.jsonl",
        card="results/checkpoints/{arm}/round{round}/README.md",
    log:
        "logs/train_dpo/{arm}/round{round}.log",
    benchmark:
        "benchmarks/train_dpo/{arm}/round{round}.tsv"
    threads: workflow.cores
    resources:
        batch_size=8,
        save_seconds=300,
    params:
        spec=spec_of_training,
        code=code_of("train_dpo"),
    script:
        "../workflow/scripts/train_dpo.py"


rule dpo_checkpoint:
    """Every arm's checkpoint."""
    input:
        expand("results/checkpoints/{arm}/round1/manifest.json", arm=CONFIG.arms),
    localrule: True
