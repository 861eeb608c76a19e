"""What the stages read, by wildcards: one small function per question.

Reads the configuration; writes nothing.
"""

from collections import UserList

from wim.settings.prompts import staged_path


def file_of_prompts(source):
    """A prompt file: where it lies, or what a data set's files are packed into."""
    return staged_path(source) or file_at(source, "prompts.files")


def manifest_of_model(name):
    """The manifest of a staged or trained model: its identity for every rule that uses it."""
    if name in CONFIG.sft:
        return f"results/checkpoints/sft/{name}/manifest.json"
    if name in CONFIG.reward_models:
        return f"results/reward_models/{name}/manifest.json"
    return f"results/models/{name}/manifest.json"


def speakers(policy="base"):
    """The models that speak in a policy's dialogues: its own and, where there is one, the partner's."""
    dialogues = CONFIG.policy_dialogues(policy)
    return [dialogues.actor] + ([dialogues.second] if dialogues.second else [])


def used_models():
    """The staged models that the workflow runs or trains: all that any of its names comes from."""
    named = {
        *speakers(),
        *proposers(),
        *CONFIG.sft,
        *CONFIG.reward_models,
        *map(CONFIG.start_of, CONFIG.arms),
    }
    for each in (*CONFIG.policies.values(), *CONFIG.judges.values()):
        named.add(each.model)
    return sorted({CONFIG.embeddings.encoder, *map(CONFIG.origin_of, named)})


def files_of_source(model):
    """The files of a model that lies on this machine, so that other weights are noticed."""
    found = []
    for key, place in CONFIG.models[model].places.items():
        path = Path(file_at(place, f"models.{model}.{key}"))
        found += path.rglob("*") if path.is_dir() else [path]
    return sorted(str(file) for file in found if file.is_file())


def manifest_of_policy(wildcards):
    """The manifest of whoever speaks: the actor, another model, or an arm's checkpoint."""
    if wildcards.policy in ("base", *CONFIG.policies):
        return manifest_of_model(speakers(wildcards.policy)[0])
    arm, round_number = wildcards.policy.rsplit("-round", 1)
    return f"results/checkpoints/{arm}/round{round_number}/manifest.json"


def manifests_of_speakers(wildcards):
    """The manifests of the policy and, where there is one, of its partner."""
    partner = [manifest_of_model(name) for name in speakers(wildcards.policy)[1:]]
    return [manifest_of_policy(wildcards), *partner]


def asked(models):
    """How models are run or asked, as a param.

    No list, which Snakemake would compare: where and how fast a model is asked reruns nothing.
    """
    return UserList(map(CONFIG.source_of, models))


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


def templates_of_judge(wildcards):
    """The template files of the judge's method."""
    return template_files(
        wildcards.judge,
        CONFIG.judges_conversations(getattr(wildcards, "policy", "base")),
    )


def template_files(judge, conversations=False):
    """The template files of a judge's method."""
    paths = CONFIG.judges[judge].templates_for(conversations)
    return [file_at(path, f"judges.{judge}.templates") for path in paths]


def shards_of_dialogues(wildcards):
    """The policy's dialogues, all shards."""
    policy = getattr(wildcards, "policy", "base")
    return [f"results/dialogues/{policy}/{shard}.parquet" for shard in SHARDS]


def shards_of_prompts(wildcards):
    """The prompts, all shards."""
    return [f"results/prompts/shards/{shard}.parquet" for shard in SHARDS]
