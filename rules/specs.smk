"""What the stages are told, by wildcards: the settings that a rule uses, and no others.

Reads the configuration; writes nothing.
"""

from wim.settings.gate import seed_of_policy


def spec_of_dialogues(wildcards):
    """How the policy's completions are drawn, and what decides its models' answers."""
    models = [CONFIG.source_of(name) for name in speakers(wildcards.policy)]
    return spec(
        dialogues=CONFIG.policy_dialogues(wildcards.policy).identity(),
        answering=[model.answering for model in models],
        seed=CONFIG.seed,
    )


def spec_of_judged(wildcards):
    """What candidates are judged by, where that is more than themselves."""
    whole = CONFIG.judges_conversations(wildcards.policy)
    return {"judged": "conversations"} if whole else {}


def spec_of_judge(wildcards):
    """What the judge was told and uses, but for its templates, which are inputs."""
    judge = CONFIG.judges[wildcards.judge]
    model = CONFIG.judge_model(wildcards.judge, wildcards.policy)
    return spec(
        judge=judge.identity(),
        seed=seed_of_policy(wildcards.policy, CONFIG.seed),
        **(model.answering | model.choosing | spec_of_judged(wildcards)),
    )


def spec_of_reward(wildcards):
    """The reward and what it uses."""
    seed = seed_of_policy(wildcards.policy, CONFIG.seed)
    return spec(**CONFIG.rewards[wildcards.reward].identity(seed))


def spec_of_pairs(wildcards):
    """The pair rule of an arm's round, and the names that its rows carry."""
    arm, number = wildcards.arm, int(wildcards.round)
    reward = CONFIG.arms[arm].reward
    judge = "+".join(CONFIG.judges_behind(reward))
    return spec(
        pairs=CONFIG.arm_pairs(arm, number),
        names={
            "policy": policy_of_round(arm, number),
            "judge": judge,
            "reward": reward,
        },
        seed=CONFIG.seed,
        **prompts_of_sft(arm),
    )


def spec_of_training(wildcards):
    """The training of an arm's round, and for the model card what the pairs were made with."""
    arm, number = CONFIG.arms[wildcards.arm], int(wildcards.round)
    sft = CONFIG.sft.get(CONFIG.start_of(wildcards.arm)) if number == 1 else None
    before = {"sft": sft} if sft else {}
    rate = {"sft_learning_rate": sft.learning_rate} if sft else {}
    training = CONFIG.arm_training(wildcards.arm, number)
    return spec(
        training=training,
        seed=CONFIG.arm_seed(wildcards.arm),
        names={
            "arm": wildcards.arm,
            "round": number,
            "reward": arm.labelled_by,
            **rate,
        },
        behind=card_settings({**CONFIG.behind_pairs(wildcards.arm, number), **before}),
        **CONFIG.source_of(CONFIG.start_of(wildcards.arm)).below(training.lora),
    )


def card_settings(sections):
    """What stands on a model card of the settings behind the data: those that are no defaults."""
    return {
        name: section.model_dump(
            mode="json", exclude_defaults=True, exclude={"templates"}
        )
        for name, section in sections.items()
    }


def spec_of_sft(wildcards):
    """The settings of a fine-tuning, and for the model card what its completions were made with."""
    settings = CONFIG.sft[wildcards.sft]
    of_policy = settings.completions != "references"
    dialogues = CONFIG.policy_dialogues(settings.completions)
    return spec(
        sft=settings,
        system=None if of_policy else dialogues.system,
        seed=CONFIG.seed,
        behind=card_settings({"dialogues": dialogues} if of_policy else {}),
        **CONFIG.source_of(wildcards.sft).below(settings.lora),
    )


def spec_of_reward_model(wildcards):
    """The settings of a reward model, and for the model card what its pairs were made with."""
    settings = CONFIG.reward_models[wildcards.reward_model]
    behind = card_settings(CONFIG.behind_pairs(settings.arm))
    return spec(reward_model=settings, seed=CONFIG.seed, behind=behind)


def told_of_trained():
    """What the summary says of fine-tunings and reward models, where there are any."""
    if not CONFIG.sft and not CONFIG.reward_models:
        return {}
    sft = {
        name: settings.model_dump(mode="json", include={"completions", "prompts"})
        for name, settings in CONFIG.sft.items()
    }
    arms = {name: {"arm": each.arm} for name, each in CONFIG.reward_models.items()}
    return {"trained": {"sft": sft, "reward_models": arms}}
