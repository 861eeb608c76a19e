"""The summary: what the judges and rewards did, and how training went.

Reads dialogues, ratings, embeddings and rewards of the first round, pairs' exclusions and training
metrics of all rounds. Writes results/report/: an audit of each judge's critiques; summary.json,
summary.md and four figures; of several rounds rounds.json and rounds.md, of grids sweep.json,
sweep.md and sweep.svg; and costs.json, costs.md and costs.svg.
"""


rule audit_critiques:
    """Look at a judge's critiques: do they speak of the response?"""
    input:
        dialogues=after_sharding(inputs.dialogue_shards),
        ratings=after_sharding(rewards.audited_ratings),
        embeddings=after_sharding(rewards.audited_embeddings),
        template=inputs.first_template_of_judge,
    output:
        audit=paths.AUDIT,
    log:
        paths.log("audit_critiques/{judge}"),
    wildcard_constraints:
        judge=one_of(inputs.critics),
    localrule: True
    params:
        spec=specs.audit,
        code=code_of("audit_critiques"),
    script:
        "../workflow/scripts/audit_critiques.py"


rule summary:
    """Compare the rewards, and show the course of training."""
    input:
        dialogues=after_sharding(inputs.dialogue_shards),
        ratings=after_sharding(rewards.wanted_ratings),
        comparisons=after_sharding(comparisons.shards_of_arms),
        rewards=after_sharding(rules.rewards.input),
        exclusions=after_sharding(rounds.files(paths.EXCLUSIONS, rounds.all)),
        metrics=after_sharding(rounds.files(paths.CHECKPOINT_METRICS, rounds.all)),
        fine_tunings=after_sharding(expand(paths.SFT_METRICS, sft=CONFIG.sft)),
        reward_models=after_sharding(
            expand(
                paths.REWARD_MODEL_EVALUATION,
                reward_model=CONFIG.reward_models,
            )
        ),
        audits=after_sharding(rewards.audits),
        verdict=after_sharding(evaluations.verdicts),
        split_leaks=[paths.SPLIT_LEAKS] if CONFIG.prompts.eval_fraction else [],
    output:
        table=report(
            paths.report("summary.json"),
            caption="../workflow/report/summary.rst",
            category="Summary",
            labels={"result": "numbers"},
        ),
        text=report(
            paths.report("summary.md"),
            caption="../workflow/report/summary.rst",
            category="Summary",
            labels={"result": "summary"},
        ),
        rewards=report(
            paths.report("rewards.svg"),
            caption="../workflow/report/rewards.rst",
            category="Summary",
            labels={"result": "rewards"},
        ),
        critiques=report(
            paths.report("critiques.svg"),
            caption="../workflow/report/critiques.rst",
            category="Summary",
            labels={"result": "critiques"},
        ),
        training=report(
            paths.report("training.svg"),
            caption="../workflow/report/training.rst",
            category="Summary",
            labels={"result": "training"},
        ),
        flow=report(
            paths.report("flow.svg"),
            caption="../workflow/report/flow.rst",
            category="Summary",
            labels={"result": "the whole run"},
        ),
    log:
        paths.log("summary"),
    localrule: True
    params:
        spec=specs.summary,
        code=code_of("summary"),
    script:
        "../workflow/scripts/summary.py"


rule rounds:
    """Set the rounds of each arm that has several one below the other."""
    input:
        rewards=after_sharding(
            [rounds.rewards_of(arm, number) for arm, number in rounds.repeated]
        ),
        pairs=after_sharding(rounds.files(paths.PAIRS, rounds.repeated)),
        exclusions=after_sharding(rounds.files(paths.EXCLUSIONS, rounds.repeated)),
        metrics=after_sharding(rounds.files(paths.CHECKPOINT_METRICS, rounds.repeated)),
    output:
        table=report(
            paths.report("rounds.json"),
            caption="../workflow/report/rounds.rst",
            category="Rounds",
            labels={"result": "numbers"},
        ),
        text=report(
            paths.report("rounds.md"),
            caption="../workflow/report/rounds.rst",
            category="Rounds",
            labels={"result": "rounds"},
        ),
    log:
        paths.log("rounds"),
    localrule: True
    params:
        spec=specs.rounds,
        code=code_of("rounds"),
    script:
        "../workflow/scripts/rounds.py"


rule sweep:
    """Set the arms of grids side by side."""
    input:
        metrics=after_sharding(rounds.files(paths.CHECKPOINT_METRICS, rounds.last)),
    output:
        table=report(
            paths.report("sweep.json"),
            caption="../workflow/report/sweep.rst",
            category="Sweep",
            labels={"result": "numbers"},
        ),
        text=report(
            paths.report("sweep.md"),
            caption="../workflow/report/sweep.rst",
            category="Sweep",
            labels={"result": "sweep"},
        ),
        figure=report(
            paths.report("sweep.svg"),
            caption="../workflow/report/sweep.rst",
            category="Sweep",
            labels={"result": "figure"},
        ),
    log:
        paths.log("sweep"),
    localrule: True
    params:
        spec=specs.sweep,
        code=code_of("sweep"),
    script:
        "../workflow/scripts/sweep.py"


rule costs:
    """Sum up what the run has cost: hours, GPU-hours, tokens and money."""
    input:
        checkpoints=rules.dpo_checkpoint.input,
        fine_tunings=rules.sft_checkpoint.input,
        reward_models=rules.reward_model.input,
        summary=rules.summary.output if CONFIG.arms or CONFIG.rewards else [],
        evaluations=rules.evaluation.input,
    output:
        table=report(
            paths.report("costs.json"),
            caption="../workflow/report/costs.rst",
            category="Costs",
            labels={"result": "numbers"},
        ),
        text=report(
            paths.report("costs.md"),
            caption="../workflow/report/costs.rst",
            category="Costs",
            labels={"result": "costs"},
        ),
        figure=report(
            paths.report("costs.svg"),
            caption="../workflow/report/costs.rst",
            category="Costs",
            labels={"result": "figure"},
        ),
    log:
        paths.log("costs"),
    localrule: True
    params:
        spec=specs.costs,
        code=code_of("costs"),
    script:
        "../workflow/scripts/costs.py"
