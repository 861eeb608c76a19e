"""What the stages are told, by wildcards: the settings that a rule uses, and no others.

Reads the configuration; writes nothing.
"""


def spec_of_dialogues(wildcards):
    """How the policy's completions are drawn, and what decides its models' answers."""
    models = [CONFIG.models[name] for name in speakers(wildcards.policy)]
    return spec(
        dialogues=CONFIG.policy_dialogues(wildcards.policy).told(),
        answering=[model.answering for model in models],
        seed=CONFIG.seed,
    )


def spec_of_topics(wildcards):
    """How topics are proposed and chosen, and what decides the models' answers."""
    return spec(
        topics=CONFIG.prompts.topics.told(),
        answering=[CONFIG.models[name].answering for name in proposers()],
        seed=CONFIG.seed,
    )


def spec_of_judge(wildcards):
    """What the judge was told and uses, but for its templates, which are inputs."""
    judge = CONFIG.judges[wildcards.judge]
    model = CONFIG.models[judge.model]
    return spec(
        judge=judge.told(), seed=CONFIG.seed, **(model.answering | model.choosing)
    )


def spec_of_pairs(wildcards):
    """The arm's pair rule, and the names that its rows carry."""
    reward = CONFIG.arms[wildcards.arm].reward
    judge = "+".join(CONFIG.judges_behind(reward))
    return spec(
        pairs=CONFIG.arm_pairs(wildcards.arm),
        names={"policy": "base", "judge": judge, "reward": reward},
        seed=CONFIG.seed,
    )


def spec_of_training(wildcards):
    """The arm's training settings, and for the model card what the pairs were made with."""
    arm = CONFIG.arms[wildcards.arm]
    reward = CONFIG.rewards[arm.reward]
    # A panel's members come with it, and its judges by their names.
    of_panel = {
        **{f"reward {name}": CONFIG.rewards[name] for name in reward.of},
        **{
            f"judge {name}": CONFIG.judges[name]
            for name in CONFIG.judges_behind(arm.reward)
        },
    }
    behind = {
        "dialogues": CONFIG.dialogues,
        **(of_panel if reward.of else {"judge": CONFIG.judges[reward.judge]}),
        "reward": reward,
        "pairs": CONFIG.arm_pairs(wildcards.arm),
    }
    return spec(
        training=CONFIG.arm_training(wildcards.arm),
        seed=CONFIG.arm_seed(wildcards.arm),
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
