"""What each round takes from the one before, by arm and number: one small function per question.

Reads the configuration; writes nothing.
"""


def policy_of_round(arm, number):
    """Who speaks in an arm's round: the actor, then the checkpoint of the round before."""
    return "base" if number == 1 else f"{arm}-round{number - 1}"


def rounds_of_arms():
    """Every arm with each of its rounds."""
    return [
        (arm, number)
        for arm in CONFIG.arms
        for number in range(1, CONFIG.arm_rounds(arm).count + 1)
    ]


def name_of_round(arm, number):
    """What the reports call an arm's round: by the arm alone if it has no other."""
    return arm if CONFIG.arm_rounds(arm).count == 1 else f"{arm}-round{number}"


def of_rounds(path, rounds=None):
    """A file of each of some rounds, or of all, whose names the path leaves open."""
    asked = rounds_of_arms() if rounds is None else rounds
    return [path.format(arm=arm, round=number) for arm, number in asked]


def of_last_rounds(path):
    """A file of every arm's last round."""
    return [
        path.format(arm=arm, round=CONFIG.arm_rounds(arm).count) for arm in CONFIG.arms
    ]


def verdicts_before(arm, number):
    """What says whether the arm has stopped before a round: nothing before its third."""
    rounds = CONFIG.arm_rounds(arm)
    asked = rounds.stop and 3 <= number <= rounds.count
    return [f"results/rounds/{arm}/round{number - 1}.json"] if asked else []


def prompts_of_turn(arm, number, shard):
    """The prompts of a shard that an arm's round takes: all, or those selected for it."""
    rounds = CONFIG.arm_rounds(arm)
    sliced = rounds.slices_of_prompts and number <= rounds.count
    if sliced or verdicts_before(arm, number):
        return f"results/prompts/rounds/{arm}/round{number}/{shard}.parquet"
    return f"results/prompts/shards/{shard}.parquet"


def prompts_of_policy(wildcards):
    """The prompts of a shard that a policy answers: those of the round that learns from them.

    The actor answers all, or one slice of them if all arms' first rounds take that alone.
    """
    turn = CONFIG.round_of(wildcards.policy)
    slices = {CONFIG.arm_rounds(arm).slices_of_prompts for arm in CONFIG.arms}
    if wildcards.policy == "base" and len(slices) == 1 and None not in slices:
        turn = next(iter(CONFIG.arms)), 1
    shard = wildcards.shard
    return (
        prompts_of_turn(*turn, shard)
        if turn
        else f"results/prompts/shards/{shard}.parquet"
    )


def prompts_of_round(wildcards):
    """The prompts that an arm's round takes, all shards."""
    arm, number = wildcards.arm, int(wildcards.round)
    return [prompts_of_turn(arm, number, shard) for shard in SHARDS]


def dialogues_of_round(wildcards):
    """The dialogues that an arm's round learns from, all shards."""
    policy = policy_of_round(wildcards.arm, int(wildcards.round))
    return [f"results/dialogues/{policy}/{shard}.parquet" for shard in SHARDS]


def rewards_of_round(wildcards):
    """The rewards table that labels the pairs of an arm's round."""
    policy = policy_of_round(wildcards.arm, int(wildcards.round))
    return f"results/rewards/{policy}/{CONFIG.arms[wildcards.arm].reward}.parquet"


def start_of_arm(arm):
    """The manifest of the model that an arm's first round trains."""
    return manifest_of_model(CONFIG.start_of(arm))


def start_of_round(wildcards):
    """The manifest of the model that an arm's round trains, from the second on the last checkpoint."""
    arm, number = wildcards.arm, int(wildcards.round)
    if number == 1:
        return start_of_arm(arm)
    return f"results/checkpoints/{arm}/round{number - 1}/manifest.json"


def reference_of_round(wildcards):
    """The manifest of the reference model, where that is not the model that is trained."""
    initial = CONFIG.arm_rounds(wildcards.arm).reference == "initial"
    if int(wildcards.round) == 1 or not initial:
        return []
    return start_of_arm(wildcards.arm)


def manifest_of_judge(wildcards):
    """The manifest of the judge's model, or of the policy where it judges itself."""
    if CONFIG.judges_itself(getattr(wildcards, "policy", "")):
        return manifest_of_policy(wildcards)
    return manifest_of_model(CONFIG.judges[wildcards.judge].model)


def both_rounds(path):
    """A file of a round and of the one before, the earlier first."""
    return lambda wildcards: [
        path.format(arm=wildcards.arm, round=number)
        for number in (int(wildcards.round) - 1, int(wildcards.round))
    ]


# The rounds of the arms that have several.
SEVERAL_ROUNDS = [
    (arm, number)
    for arm, number in rounds_of_arms()
    if CONFIG.arm_rounds(arm).count > 1
]
