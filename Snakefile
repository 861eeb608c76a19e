"""Align a language model with AI feedback: from prompts to DPO checkpoints."""

import os
from snakemake.utils import min_version

min_version("9.27")


# A --configfile stands alone: what it leaves out has the documented default, and so has
# everything in a working directory without a configuration.
if not workflow.overwrite_configfiles and os.path.exists("config/config.yaml"):

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/training_inputs.smk"
include: "rules/round_inputs.smk"
include: "rules/specs.smk"
include: "rules/topic_inputs.smk"
include: "rules/prompts.smk"
include: "rules/rounds.smk"
include: "rules/models.smk"
include: "rules/dialogues.smk"
include: "rules/ratings.smk"
include: "rules/comparison_inputs.smk"
include: "rules/comparisons.smk"
include: "rules/reward_inputs.smk"
include: "rules/embeddings.smk"
include: "rules/rewards.smk"
include: "rules/pairs.smk"
include: "rules/gate.smk"
include: "rules/training.smk"
include: "rules/online.smk"
include: "rules/report.smk"
include: "rules/cluster.smk"


rule all:
    """Every arm's checkpoint, every other trained model, and the reports."""
    default_target: True
    input:
        rules.dpo_checkpoint.input,
        rules.sft_checkpoint.input,
        rules.reward_model.input,
        rules.summary.output,
        rules.rounds.output if SEVERAL_ROUNDS else [],
        rules.sweep.output if CONFIG.grid else [],
    localrule: True


onstart:
    hold_directory()
    check_models_are_staged()
    check_gpus_are_asked_for()


onerror:
    print("A job failed. Its message stands above, the rest in its log under logs/.")
