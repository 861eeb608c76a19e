"""What the stages read and are told, by wildcards: one small function per question.

Reads the configuration; writes nothing.
"""


def manifest_of_model(name):
    """The manifest of a staged model: its identity for every rule that uses it."""
    return f"results/models/{name}/manifest.json"


def files_of_source(model):
    """The files of a model that lies on this machine, so that other weights are noticed."""
    kind, _, place = CONFIG.models[model].source.partition(":")
    if kind != "path":
        return []
    path = Path(file_at(place, f"models.{model}.source"))
    files = path.rglob("*") if path.is_dir() else [path]
    return sorted(str(file) for file in files if file.is_file())


def manifest_of_policy(wildcards):
    """The manifest of whoever speaks: the actor, or an arm's checkpoint."""
    if wildcards.policy == "base":
        return manifest_of_model(CONFIG.dialogues.actor)
    arm, round_number = wildcards.policy.rsplit("-round", 1)
    return f"results/checkpoints/{arm}/round{round_number}/manifest.json"


def threads_of_shard(wildcards):
    """A shard's share of the cores: shards run side by side."""
    return max(1, (workflow.cores or 1) // len(SHARDS))


SHARDED = all(
    os.path.exists(f"results/prompts/shards/{each}.parquet") for each in SHARDS
)


def behind_shards(paths):
    """Inputs behind the shards: a path with wildcards, paths, or a function of the wildcards.

    Asked for through the checkpoint once the shards exist, so that jobs of a shard that came
    out unchanged are left out of the plan made after it; what is planned before stays planned,
    so every stage asks. Before that by name, so that a first dry run shows every job.
    """

    def files(wildcards):
        if SHARDED:
            checkpoints.shard_prompts.get()
        if callable(paths):
            return paths(wildcards)
        if isinstance(paths, str):
            return paths.format(**dict(wildcards.items()))
        return paths

    return files


def manifest_of_judge(wildcards):
    """The manifest of the judge's model."""
    return manifest_of_model(CONFIG.judges[wildcards.judge].model)


def templates_of_judge(wildcards):
    """The template files of the judge's method."""
    folder = CONFIG.judges[wildcards.judge].templates
    key = f"judges.{wildcards.judge}.templates"
    return [file_at(f"{folder}/{name}.jinja", key) for name in ("critique", "rating")]


def spec_of_judge(wildcards):
    """What the judge was told, but for its model and templates, which are inputs."""
    judge = CONFIG.judges[wildcards.judge]
    model = CONFIG.models[judge.model]
    return spec(
        judge=judge.model_dump(mode="json", exclude={"templates"}),
        seed=CONFIG.seed,
        **(model.answering | model.choosing),
    )


def shards_behind_reward(stage):
    """The stage's shards of a policy by the judge of a reward."""

    def files(wildcards):
        judge = CONFIG.rewards[wildcards.reward].judge
        folder = f"results/{stage}/{wildcards.policy}/{judge}"
        return [f"{folder}/{shard}.parquet" for shard in SHARDS]

    return files


def shards_of_dialogues(wildcards):
    """The policy's dialogues, all shards."""
    policy = getattr(wildcards, "policy", "base")
    return [f"results/dialogues/{policy}/{shard}.parquet" for shard in SHARDS]


def shards_of_prompts(wildcards):
    """The prompts, all shards."""
    return [f"results/prompts/shards/{shard}.parquet" for shard in SHARDS]


def of_arms(path):
    """A file of every arm, whose name the path leaves open."""
    return [path.format(arm=arm) for arm in CONFIG.arms]


def rewards_of_arm(wildcards):
    """The rewards table that labels the arm's pairs."""
    return f"results/rewards/base/{CONFIG.arms[wildcards.arm].reward}.parquet"


def spec_of_pairs(wildcards):
    """The arm's pair rule, and the names that its rows carry."""
    reward = CONFIG.arms[wildcards.arm].reward
    judge = CONFIG.rewards[reward].judge
    return spec(
        pairs=CONFIG.arm_pairs(wildcards.arm),
        names={"policy": "base", "judge": judge, "reward": reward},
        seed=CONFIG.seed,
    )


def spec_of_training(wildcards):
    """The arm's training settings, and for the model card what the pairs were made with."""
    arm = CONFIG.arms[wildcards.arm]
    reward = CONFIG.rewards[arm.reward]
    behind = {
        "dialogues": CONFIG.dialogues,
        "judge": CONFIG.judges[reward.judge],
        "reward": reward,
        "pairs": CONFIG.arm_pairs(wildcards.arm),
    }
    return spec(
        training=CONFIG.arm_training(wildcards.arm),
        seed=CONFIG.seed,
        names={
            "arm": wildcards.arm,
            "round": int(wildcards.round),
            "reward": arm.reward,
        },
        behind={
            name: section.model_dump(
                mode="json", exclude_defaults=True, exclude={"templates"}
            )
            for name, section in behind.items()
        },
    )
