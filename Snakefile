"""Align a language model with AI feedback: from prompts to DPO checkpoints."""

import os
from pathlib import Path

from snakemake.utils import min_version

from wim.dag.snakemake_internals import configuration_is_given
from wim.dag.start import check_start
from wim.settings.yaml_text import check_yaml_text

min_version("9.27")


# A --configfile stands alone: what it leaves out has the documented default, and so has
# everything in a working directory without a configuration.
if not configuration_is_given(workflow) and os.path.exists("config/config.yaml"):
    # Before Snakemake goes through its values.
    check_yaml_text(["config/config.yaml"])

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/prompts.smk"
include: "rules/models.smk"
include: "rules/rounds.smk"
include: "rules/dialogues.smk"
include: "rules/ratings.smk"
include: "rules/comparisons.smk"
include: "rules/embeddings.smk"
include: "rules/rewards.smk"
include: "rules/pairs.smk"
include: "rules/gate.smk"
include: "rules/study.smk"
include: "rules/training.smk"
include: "rules/online.smk"
include: "rules/evaluation.smk"
include: "rules/harness.smk"
include: "rules/report.smk"
include: "rules/experiments.smk"
include: "rules/discovery.smk"
include: "rules/page.smk"
include: "rules/exports.smk"
include: "rules/slurm.smk"


rule all:
    """Every arm's checkpoint, every other trained model, and the reports."""
    default_target: True
    input:
        rules.dpo_checkpoint.input,
        rules.sft_checkpoint.input,
        rules.reward_model.input,
        rules.summary.output if CONFIG.arms or CONFIG.rewards else [],
        rules.page.output if shown.wanted else [],
        rules.rounds.output if rounds.repeated else [],
        rules.sweep.output if CONFIG.grid else [],
        rules.evaluation.input,
        rules.costs.output,
    localrule: True


onstart:
    check_start(workflow, inputs)


onerror:
    print("A job failed. Its message is above, the rest in its log under logs/.")
