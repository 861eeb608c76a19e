"""Online DPO: from prompts to an arm's checkpoint, with pairs drawn from the model while it trains.

Reads the prompts' shards, and the manifests of the actor, of the reward's judge and of the encoder.
Writes results/checkpoints/<arm>/round<r>/, the tables of what was drawn under
results/online/<arm>/round<r>/, and its pairs where other arms have theirs.
"""


rule train_online_dpo:
    """Train the actor on pairs of its own completions, judged as they are drawn."""
    input:
        prompts=behind_shards(shards_of_prompts),
        manifest=start_of_round,
        judge=lambda wildcards: manifest_of_model(
            CONFIG.judges[judge_of_arm(wildcards)].model
        ),
        templates=lambda wildcards: template_files(judge_of_arm(wildcards)),
        encoder=encoder_of_arm,
        proof=proof_of_reward,
    output:
        manifest="results/checkpoints/{arm}/round{round}/manifest.json",
        metrics="results/checkpoints/{arm}/round{round}/metrics.jsonl",
        card="results/checkpoints/{arm}/round{round}/README.md",
        dialogues="results/online/{arm}/round{round}/dialogues.parquet",
        ratings="results/online/{arm}/round{round}/ratings.parquet",
        rewards="results/online/{arm}/round{round}/rewards.parquet",
        pairs="results/pairs/{arm}/round{round}.parquet",
        exclusions="results/pairs/{arm}/round{round}.exclusions.json",
    log:
        "logs/train_online_dpo/{arm}/round{round}.log",
    benchmark:
        "benchmarks/train_online_dpo/{arm}/round{round}.tsv"
    wildcard_constraints:
        arm=one_of(ONLINE),
    threads: workflow.cores
    resources:
        batch_size=8,
        judge_batch_size=64,
        save_seconds=300,
    params:
        spec=spec_of_online_training,
        # Snakemake compares no params of such a type; see rate_candidates.
        model=lambda wildcards: CONFIG.source_of(
            CONFIG.judges[judge_of_arm(wildcards)].model
        ),
        code=code_of("train_online_dpo"),
    script:
        "../workflow/scripts/train_online_dpo.py"
