"""The reward gate: every judge and reward on pairs that people have labelled.

Reads the file that the configuration names under gate.pairs. Its responses are dialogues of the
policy `labelled`, which the rules of ratings, comparisons, embeddings and rewards take as any other,
and some of them once more of the policy `retest`, judged by another seed.
Writes results/evaluation/gate.json, gate.md and gate.svg, and a note for each reward that passed.
"""


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
