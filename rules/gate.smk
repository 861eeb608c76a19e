"""The reward gate: every judge and reward on pairs that people have labelled.

Reads the file that the configuration names under gate.pairs. Its responses are dialogues of the
policy `labelled`, which the rules of ratings, comparisons, embeddings and rewards take as any other,
and some of them once more of the policy `retest`, judged by another seed.
Writes results/evaluation/gate.json, gate.md and gate.svg, and a note for each reward that passed.
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
