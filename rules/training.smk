"""Training: from completions or an arm's pairs to a checkpoint.

Reads the prompts' shards and dialogues, or results/pairs/<arm>/round<r>.parquet, and the manifest
of the model that training starts from.
Writes results/checkpoints/<arm>/round<r>/, results/checkpoints/sft/<sft>/ and
results/reward_models/<reward_model>/.
"""


rule train_dpo:
    """Train the actor on an arm's pairs."""
    input:
        pairs=behind_shards("results/pairs/{arm}/round{round}.parquet"),
        manifest=start_of_round,
        reference=reference_of_round,
        verdicts=lambda wildcards: verdicts_before(wildcards.arm, int(wildcards.round)),
        proof=proof_of_reward,
    output:
        manifest="results/checkpoints/{arm}/round{round}/manifest.json",
        metrics="results/checkpoints/{arm}/round{round}/metrics.jsonl",
        card="results/checkpoints/{arm}/round{round}/README.md",
    log:
        "logs/train_dpo/{arm}/round{round}.log",
    benchmark:
        "benchmarks/train_dpo/{arm}/round{round}.tsv"
    wildcard_constraints:
        arm=one_of(OFFLINE),
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
    """Every arm's checkpoint, of its last round."""
    input:
        of_last_rounds("results/checkpoints/{arm}/round{round}/manifest.json"),
    localrule: True


rule train_sft:
    """Fine-tune a model on references or on a policy's completions."""
    input:
        prompts=behind_shards(shards_of_prompts),
        dialogues=behind_shards(shards_behind_sft),
        manifest=lambda wildcards: manifest_of_model(
            CONFIG.sft[wildcards.sft].model or CONFIG.dialogues.actor
        ),
    output:
        manifest="results/checkpoints/sft/{sft}/manifest.json",
        metrics="results/checkpoints/sft/{sft}/metrics.jsonl",
        card="results/checkpoints/sft/{sft}/README.md",
    log:
        "logs/train_sft/{sft}.log",
    benchmark:
        "benchmarks/train_sft/{sft}.tsv"
    threads: workflow.cores
    resources:
        batch_size=8,
        save_seconds=300,
    params:
        spec=spec_of_sft,
        code=code_of("train_sft"),
    script:
        "../workflow/scripts/train_sft.py"


rule sft_checkpoint:
    """Every fine-tuned model."""
    input:
        [manifest_of_model(name) for name in CONFIG.sft],
    localrule: True


rule train_reward_model:
    """Train a reward model on an arm's pairs, and measure it on those held out."""
    input:
        pairs=behind_shards(pairs_behind_reward_model),
        manifest=lambda wildcards: manifest_of_model(
            CONFIG.reward_models[wildcards.reward_model].model
            or CONFIG.dialogues.actor
        ),
    output:
        manifest="results/reward_models/{reward_model}/manifest.json",
        metrics="results/reward_models/{reward_model}/metrics.jsonl",
        evaluation="results/reward_models/{reward_model}/evaluation.json",
        card="results/reward_models/{reward_model}/README.md",
    log:
        "logs/train_reward_model/{reward_model}.log",
    benchmark:
        "benchmarks/train_reward_model/{reward_model}.tsv"
    threads: workflow.cores
    resources:
        batch_size=8,
        save_seconds=300,
    params:
        spec=spec_of_reward_model,
        code=code_of("train_reward_model"),
    script:
        "../workflow/scripts/train_reward_model.py"


rule reward_model:
    """Every reward model."""
    input:
        [manifest_of_model(name) for name in CONFIG.reward_models],
    localrule: True
