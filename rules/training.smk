"""Training: from completions or an arm's pairs to a checkpoint.

Reads the prompts' shards and dialogues, or results/pairs/<arm>/round<r>.parquet, and the manifest
of the model that training starts from.
Writes results/checkpoints/<arm>/round<r>/, results/checkpoints/sft/<sft>/ and
results/reward_models/<reward_model>/.
"""

from wim.dag.own_losses import OwnLosses
from wim.dag.resources import falling_batch_size

own_losses = OwnLosses(inputs)


rule train_dpo:
    """Train the actor on an arm's pairs."""
    input:
        pairs=after_sharding(paths.PAIRS),
        manifest=rounds.start,
        reference=rounds.reference,
        verdicts=rounds.verdicts,
        proof=gate.proof,
    output:
        manifest=paths.CHECKPOINT_MANIFEST,
        metrics=report(
            paths.CHECKPOINT_METRICS,
            caption="../workflow/report/metrics.rst",
            category="Training",
            labels={"arm": "{arm}", "round": "{round}", "file": "metrics"},
        ),
        card=report(
            paths.CHECKPOINT_CARD,
            caption="../workflow/report/card.rst",
            category="Training",
            labels={"arm": "{arm}", "round": "{round}", "file": "model card"},
        ),
    log:
        paths.log("train_dpo/{arm}/round{round}"),
    benchmark:
        paths.benchmark("train_dpo/{arm}/round{round}")
    wildcard_constraints:
        arm=one_of(own_losses.others),
    threads: workflow.cores
    resources:
        batch_size=falling_batch_size("train_dpo", training.needs_whole_batches),
        save_seconds=SAVE_SECONDS,
    params:
        spec=training_specs.training,
        untracked=untracked.arm,
        code=code_of("train_dpo"),
    script:
        "../workflow/scripts/train_dpo.py"


rule train_own_loss:
    """Train the actor on an arm's pairs with a loss that is a text."""
    input:
        pairs=after_sharding(paths.PAIRS),
        manifest=rounds.start,
        reference=rounds.reference,
        verdicts=rounds.verdicts,
        proof=gate.proof,
    output:
        manifest=paths.CHECKPOINT_MANIFEST,
        metrics=report(
            paths.CHECKPOINT_METRICS,
            caption="../workflow/report/metrics.rst",
            category="Training",
            labels={"arm": "{arm}", "round": "{round}", "file": "metrics"},
        ),
        card=report(
            paths.CHECKPOINT_CARD,
            caption="../workflow/report/card.rst",
            category="Training",
            labels={"arm": "{arm}", "round": "{round}", "file": "model card"},
        ),
    log:
        paths.log("train_own_loss/{arm}/round{round}"),
    benchmark:
        paths.benchmark("train_own_loss/{arm}/round{round}")
    wildcard_constraints:
        arm=one_of(own_losses.arms),
    threads: workflow.cores
    resources:
        batch_size=BATCH_SIZES["train_own_loss"],
        save_seconds=SAVE_SECONDS,
    params:
        spec=training_specs.training,
        untracked=untracked.arm,
        code=code_of("train_own_loss"),
    script:
        "../workflow/scripts/train_own_loss.py"


rule dpo_checkpoint:
    """Every arm's checkpoint, of its last round."""
    input:
        manifests=rounds.files(paths.CHECKPOINT_MANIFEST, rounds.last),
    localrule: True


rule train_sft:
    """Fine-tune a model on references or on a policy's completions."""
    input:
        prompts=after_sharding(inputs.prompt_shards),
        dialogues=after_sharding(training.dialogues_of_sft),
        manifest=training.start_of_sft,
    output:
        manifest=paths.SFT_MANIFEST,
        metrics=report(
            paths.SFT_METRICS,
            caption="../workflow/report/metrics.rst",
            category="Training",
            labels={"fine-tuning": "{sft}", "file": "metrics"},
        ),
        card=report(
            paths.SFT_CARD,
            caption="../workflow/report/card.rst",
            category="Training",
            labels={"fine-tuning": "{sft}", "file": "model card"},
        ),
    log:
        paths.log("train_sft/{sft}"),
    benchmark:
        paths.benchmark("train_sft/{sft}")
    threads: workflow.cores
    resources:
        batch_size=falling_batch_size("train_sft"),
        save_seconds=SAVE_SECONDS,
    params:
        spec=training_specs.sft,
        untracked=untracked.sft,
        code=code_of("train_sft"),
    script:
        "../workflow/scripts/train_sft.py"


rule sft_checkpoint:
    """Every fine-tuned model."""
    input:
        manifests=[inputs.manifest_of_model(name) for name in CONFIG.sft],
    localrule: True


rule train_reward_model:
    """Train a reward model on an arm's pairs, and measure it on those held out."""
    input:
        pairs=after_sharding(training.pairs_of_reward_model),
        manifest=training.start_of_reward_model,
    output:
        manifest=paths.REWARD_MODEL_MANIFEST,
        metrics=report(
            paths.REWARD_MODEL_METRICS,
            caption="../workflow/report/metrics.rst",
            category="Training",
            labels={"reward model": "{reward_model}", "file": "metrics"},
        ),
        evaluation=paths.REWARD_MODEL_EVALUATION,
        card=report(
            paths.REWARD_MODEL_CARD,
            caption="../workflow/report/card.rst",
            category="Training",
            labels={"reward model": "{reward_model}", "file": "model card"},
        ),
    log:
        paths.log("train_reward_model/{reward_model}"),
    benchmark:
        paths.benchmark("train_reward_model/{reward_model}")
    threads: workflow.cores
    resources:
        batch_size=falling_batch_size("train_reward_model"),
        save_seconds=SAVE_SECONDS,
    params:
        spec=training_specs.reward_model,
        untracked=untracked.reward_model,
        code=code_of("train_reward_model"),
    script:
        "../workflow/scripts/train_reward_model.py"


rule reward_model:
    """Every reward model."""
    input:
        manifests=[inputs.manifest_of_model(name) for name in CONFIG.reward_models],
    localrule: True
