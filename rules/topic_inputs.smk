"""What the rule of topics reads and is told.

Reads the configuration; writes nothing.
"""


def proposers():
    """The models that propose topics, where topics are asked for."""
    topics = CONFIG.prompts.topics
    return (
        []
        if topics is None
        else topics.models or list(dict.fromkeys(map(CONFIG.origin_of, speakers())))
    )


def template_of_topics(wildcards):
    """The template that asks for a topic."""
    return file_at(CONFIG.prompts.topics.template_path, "prompts.topics.templates")


def spec_of_topics(wildcards):
    """How topics are proposed and chosen, and what decides the models' answers."""
    return spec(
        topics=CONFIG.prompts.topics.identity(),
        answering=[CONFIG.models[name].answering for name in proposers()],
        seed=CONFIG.seed,
    )
