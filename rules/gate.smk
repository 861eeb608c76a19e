"""The reward gate: every judge and reward on pairs that people have labelled.

Reads the file that the configuration names under gate.pairs. Its responses are dialogues of the
policy `labelled`, which the rules of ratings, comparisons, embeddings and rewards take as any other,
and some of them once more of the policy `retest`, judged by another seed.
Writes results/evaluation/gate.json, gate.md and gate.svg, and a note for each reward that passed.
"""


def labelled_pairs(wildcards):
    """The file of pairs that people have labelled."""
    if CONFIG.gate.pairs is None:
        raise WorkflowError(
            "config: gate.pairs is empty; write the path of a file of labelled pairs in LLMBar's"
            " format: a JSON list of {input, output_1, output_2, label}."
        )
    return file_at(CONFIG.gate.pairs, "gate.pairs")


def proof_of_reward(wildcards):
    """The note that the arm's reward has passed the gate, where there is a bar."""
    if CONFIG.gate.bar is None:
        return []
    arm = CONFIG.arms[wildcards.arm]
    judge = arm.comparison and CONFIG.comparisons[arm.comparison].judge
    return f"results/evaluation/passed/{arm.reward or f'pairs/{judge}'}.txt"


def rewards_again(wildcards):
    """The rewards of the pairs that are judged a second time."""
    again = CONFIG.rewards if CONFIG.gate.retest else []
    return [f"results/rewards/retest/{reward}.parquet" for reward in again]


def labelled_comparisons(wildcards):
    """What the judges of pairs say of the labelled pairs, judge by judge."""
    return [
        path
        for judge in JUDGES_OF_PAIRS
        for path in shards_of_comparison("labelled", judge)
    ]


def spec_of_labelled(wildcards):
    """Which of the pairs are taken: all, or some of them to be judged again."""
    if wildcards.policy == "labelled":
        return spec()
    return spec(share=CONFIG.gate.retest, seed=CONFIG.seed)


rule label_dialogues:
    """Take labelled pairs in as dialogues."""
    input:
        pairs=labelled_pairs,
    output:
        dialogues=expand(
            "results/dialogues/{policy}/{shard}.parquet",
            shard=SHARDS,
            allow_missing=True,
        ),
    log:
        "logs/label_dialogues/{policy}.log",
    wildcard_constraints:
        policy="labelled|retest",
    localrule: True
    params:
        spec=spec_of_labelled,
        code=code_of("label_dialogues"),
    script:
        "../workflow/scripts/label_dialogues.py"


rule reward_gate:
    """Measure all rewards and judges of pairs on the labelled pairs."""
    input:
        pairs=labelled_pairs,
        rewards=expand(
            "results/rewards/labelled/{reward}.parquet", reward=CONFIG.rewards
        ),
        again=rewards_again,
        comparisons=labelled_comparisons,
    output:
        table="results/evaluation/gate.json",
        text="results/evaluation/gate.md",
        figure="results/evaluation/gate.svg",
    log:
        "logs/reward_gate.log",
    localrule: True
    params:
        spec=spec(
            rewards=list(CONFIG.rewards), judges=JUDGES_OF_PAIRS, seed=CONFIG.seed
        ),
        code=code_of("reward_gate"),
    script:
        "../workflow/scripts/reward_gate.py"


rule check_bar:
    """Stop before training what an unproven reward has labelled."""
    input:
        table=rules.reward_gate.output.table,
    output:
        passed="results/evaluation/passed/{measured}.txt",
    log:
        "logs/check_bar/{measured}.log",
    wildcard_constraints:
        measured=one_of(
            [*CONFIG.rewards, *(f"pairs/{each}" for each in JUDGES_OF_PAIRS)]
        ),
    localrule: True
    params:
        spec=spec(bar=CONFIG.gate.bar),
        code=code_of("check_bar"),
    script:
        "../workflow/scripts/check_bar.py"
