"""The reward gate: every judge and reward on labelled pairs.

Reads the files that the configuration names under gate.pairs. Their responses are dialogues of the
policy `labelled`, which the rules of ratings, embeddings and rewards take as any other, pair by pair
those of `labelled_pairs`, which that of comparisons takes, and some of them once more of the policy
`retest`, judged by another seed.
Writes results/evaluation/gate.json, gate.md and gate.svg, a note for each reward that passed, and
judge_tuning.json and judge_tuning.md.
"""


rule label_dialogues:
    """Take labelled pairs in as dialogues."""
    input:
        pairs=gate.pairs,
    output:
        dialogues=inputs.dialogues_of("{policy}"),
    log:
        paths.log("label_dialogues/{policy}"),
    wildcard_constraints:
        policy=gate.policy_pattern,
    localrule: True
    params:
        spec=specs.labelled,
        code=code_of("label_dialogues"),
    script:
        "../workflow/scripts/label_dialogues.py"


rule reward_gate:
    """Measure all rewards and judges of pairs on the labelled pairs."""
    input:
        pairs=gate.pairs,
        rewards=rewards.tables("labelled"),
        again=gate.retested,
        comparisons=gate.labelled_comparisons,
        embeddings=rewards.embeddings_of("labelled"),
    output:
        table=report(
            paths.evaluation("gate.json"),
            caption="../workflow/report/gate.rst",
            category="Reward gate",
            labels={"result": "numbers"},
        ),
        text=report(
            paths.evaluation("gate.md"),
            caption="../workflow/report/gate.rst",
            category="Reward gate",
            labels={"result": "gate"},
        ),
        figure=report(
            paths.evaluation("gate.svg"),
            caption="../workflow/report/gate.rst",
            category="Reward gate",
            labels={"result": "figure"},
        ),
    log:
        paths.log("reward_gate"),
    localrule: True
    params:
        spec=specs.gate,
        code=code_of("reward_gate"),
    script:
        "../workflow/scripts/reward_gate.py"


rule judge_tuning:
    """Choose the best of several judges on one half of the prompts, and report it on the other."""
    input:
        pairs=gate.pairs,
        rewards=gate.tuned,
        comparisons=gate.tuned_comparisons,
    output:
        table=report(
            paths.evaluation("judge_tuning.json"),
            caption="../workflow/report/judge_tuning.rst",
            category="Reward gate",
            labels={"result": "tuning, numbers"},
        ),
        text=report(
            paths.evaluation("judge_tuning.md"),
            caption="../workflow/report/judge_tuning.rst",
            category="Reward gate",
            labels={"result": "tuning"},
        ),
    log:
        paths.log("judge_tuning"),
    localrule: True
    params:
        spec=specs.tuning,
        code=code_of("judge_tuning"),
    script:
        "../workflow/scripts/judge_tuning.py"


rule check_bar:
    """Fail unless the accuracy of what labels an arm, on labelled pairs, is above gate.bar."""
    input:
        table=rules.reward_gate.output.table,
    output:
        passed=paths.PASSED,
    log:
        paths.log("check_bar/{measured}"),
    wildcard_constraints:
        measured=gate.measured_pattern,
    localrule: True
    params:
        spec=specs.bar,
        code=code_of("check_bar"),
    script:
        "../workflow/scripts/check_bar.py"
