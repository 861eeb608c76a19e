"""What the rules read and which names they are for: prompts, manifests, templates, dialogues."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wim import experiment_paths, paths
from wim.dag.judges import Judges
from wim.dag.snakemake_internals import has_wildcards
from wim.errors import UserError
from wim.fetch.folders import file_names
from wim.paths import at
from wim.settings.evaluated import (
    SEPARATOR,
    Evaluated,
    answering_speakers,
    checkpoint_of,
    is_written,
    model_of,
    temperatures_of,
)
from wim.settings.prompts import staged_path
from wim.settings.sampled_judges import SAMPLE

# What a judge of aspects said in each of them.
ASPECTS = paths.table("aspects", "{policy}/{judge}/{shard}")
# The policy that is the actor itself, before any training.
BASE = "base"


class Wildcards(Protocol):
    """A job's wildcards, by name."""

    def __getattr__(self, name: str, /) -> str: ...


def one_of(names: Iterable[str]) -> str:
    """A regular expression that matches these names and no others."""
    return "|".join(map(re.escape, names)) or "(?!)"


@dataclass(frozen=True)
class Inputs(Judges):
    """What the rules read, by a configuration. `folder` is the workflow's own, with its defaults."""

    folder: Path

    @property
    def shards(self) -> list[str]:
        """The names of the shards of prompts."""
        return paths.shard_names(self.config.prompts.shards)

    @property
    def shard_pattern(self) -> str:
        """A regular expression of the shards' names."""
        return rf"\d{{{len(self.shards[-1])}}}"

    @property
    def policies(self) -> list[str]:
        """The policies whose dialogues the configuration asks for: the actor's and the named ones."""
        return [BASE, *self.config.policies]

    @property
    def policy_pattern(self) -> str:
        """A regular expression of policies that generate: the actor, checkpoints, named ones."""
        further = [*self.config.policies, *self.generating_speakers, *self.discovered_policies]
        return "|".join([BASE, r"[^@]+-round\d+", *map(re.escape, further)])

    @property
    def generating_speakers(self) -> list[str]:
        """The policies of evaluations whose answers are generated."""
        return [
            each.policy
            for each in answering_speakers(self.config)
            if not is_written(self.config, each)
        ]

    @property
    def discovered_policies(self) -> dict[str, str]:
        """The candidates of the discovery by their policies, where an evaluation is their fitness."""
        return self.config.discovery.policies if self.config.discovery else {}

    @property
    def written_pattern(self) -> str:
        """A regular expression of the policies whose answers are not generated here."""
        return one_of(self.written_speakers)

    @property
    def written_speakers(self) -> list[str]:
        """The policies of evaluations whose answers are in a file, or came with the prompts."""
        return [
            each.policy for each in answering_speakers(self.config) if is_written(self.config, each)
        ]

    @property
    def judge_pattern(self) -> str:
        """A regular expression of judges, and of their samples after the first."""
        return rf"({one_of(self.config.judges)})({SAMPLE}\d+)?"

    @property
    def online_arms(self) -> list[str]:
        """The arms that generate their pairs while they train."""
        return [name for name, arm in self.config.arms.items() if arm.method == "online_dpo"]

    @property
    def offline_arms(self) -> list[str]:
        """The arms that train on a table of pairs."""
        return [name for name in self.config.arms if name not in self.online_arms]

    def file_at(self, path: str, key: str) -> str:
        """A file or folder that the configuration names under `key`.

        Looked for from the working directory, then from the workflow's own folder. Raises UserError
        if it is in neither, is empty, or if Snakemake would take its name for a pattern.
        """
        if not path.strip():
            raise UserError(f"config: {key}: found '{path}'; write a path, or leave the line out.")
        if has_wildcards(path):
            raise UserError(
                f"config: {key}: found '{path}', and Snakemake takes {{...}} in a file's name for a"
                " wildcard; rename it, or write the path of a link without braces."
            )
        for place in (Path(path).expanduser(), self.folder / path):
            if place.exists():
                return str(place)
        raise UserError(
            f"config: {key}: found '{path}', and there is no such file or folder; write its path "
            f"from the working directory, which is {Path.cwd()}."
        )

    # Prompts.

    @property
    def hub_prompts(self) -> dict[str, str]:
        """The sources of prompts on the hub, by the file that each is packed into."""
        own = (each.own_prompts(name) for name, each in self.config.evaluations.items())
        sources = [
            *self.config.prompts.files,
            *(file for prompts in own if prompts for file in prompts.files),
        ]
        files = {source: staged_path(source) for source in sources}
        return {path: source for source, path in files.items() if path is not None}

    @property
    def prompt_files(self) -> list[str]:
        """The files of prompts: on this machine, or what a data set of the hub is packed into."""
        return [
            staged_path(source) or self.file_at(source, "prompts.files")
            for source in self.config.prompts.files
        ]

    @property
    def files_in_prompt_folders(self) -> list[str]:
        """The files in folders of prompts, so that one that is edited there is noticed."""
        folders = [path for path in map(Path, self.prompt_files) if path.is_dir()]
        return [
            self.file_at(str(folder / name), "prompts.files")
            for folder in folders
            for name in file_names(folder)
        ]

    def prompt_shards(self, wildcards: Wildcards | None = None) -> list[str]:
        """The prompts, all shards."""
        return [at(paths.PROMPT_SHARD, shard=shard) for shard in self.shards]

    @property
    def proposers(self) -> list[str]:
        """The models that propose topics; none where no topics are wanted."""
        topics = self.config.prompts.topics
        if topics is None:
            return []
        return topics.models or list(dict.fromkeys(map(self.config.origin_of, self.speakers())))

    def manifests_of_proposers(self, wildcards: Wildcards | None = None) -> list[str]:
        """The manifests of the models that propose topics."""
        return [self.manifest_of_model(name) for name in self.proposers]

    def template_of_topics(self, wildcards: Wildcards | None = None) -> str:
        """The template that asks for a topic."""
        topics = self.config.prompts.topics
        assert topics is not None
        return self.file_at(topics.template_path, "prompts.topics.templates")

    # Manifests of models.

    def manifest_of_model(self, name: str) -> str:
        """The manifest of a staged or trained model: its identity for every rule that uses it."""
        if name in self.config.sft:
            return at(paths.SFT_MANIFEST, sft=name)
        if name in self.config.reward_models:
            return at(paths.REWARD_MODEL_MANIFEST, reward_model=name)
        return at(paths.MODEL, model=name)

    @property
    def manifest_of_encoder(self) -> str:
        """The manifest of the encoder of embeddings."""
        return self.manifest_of_model(self.config.embeddings.encoder)

    # Dialogues, by policy.

    def speakers(self, policy: str = BASE) -> list[str]:
        """The models that speak in a policy's dialogues: its own, then a partner's if it has one."""
        dialogues = self.config.policy_dialogues(policy)
        return [dialogues.actor] + ([dialogues.second] if dialogues.second else [])

    def manifest_of_policy(self, wildcards: Wildcards) -> str:
        """The manifest of the model that generates: the actor, another model, or a checkpoint."""
        policy = wildcards.policy
        if candidate := self.discovered_policies.get(policy):
            return at(experiment_paths.DISCOVERED_MANIFEST, candidate=candidate)
        if evaluated := Evaluated.of(policy):
            return self.manifest_of_speaker(evaluated.speaker)
        if policy in self.policies:
            return self.manifest_of_model(self.speakers(policy)[0])
        arm, number = policy.rsplit("-round", 1)
        return at(paths.CHECKPOINT_MANIFEST, arm=arm, round=number)

    def manifest_of_speaker(self, speaker: str) -> str:
        """The manifest of the model or checkpoint that a speaker of an evaluation is."""
        checkpoint = checkpoint_of(self.config, speaker)
        if checkpoint is None:
            return self.manifest_of_model(model_of(self.config, speaker))
        return at(paths.CHECKPOINT_MANIFEST, arm=checkpoint[0], round=checkpoint[1])

    def manifests_of_speakers(self, wildcards: Wildcards) -> list[str]:
        """The manifests of the policy's model and of its partner, if it has one."""
        partner = [self.manifest_of_model(name) for name in self.speakers(wildcards.policy)[1:]]
        return [self.manifest_of_policy(wildcards), *partner]

    @property
    def dialogue_templates(self) -> list[str]:
        """The templates of dialogues between two models."""
        return [
            self.file_at(path, "dialogues.templates")
            for path in self.config.dialogues.template_paths
        ]

    def dialogues_of(self, policy: str) -> list[str]:
        """A policy's dialogues, all shards."""
        return [at(paths.DIALOGUES, policy=policy, shard=shard) for shard in self.shards]

    def dialogue_shards(self, wildcards: Wildcards) -> list[str]:
        """The dialogues of a job's policy, all shards; the actor's where it has no such wildcard."""
        return self.dialogues_of(getattr(wildcards, "policy", BASE))

    # Judges.

    def manifest_of_judge(self, wildcards: Wildcards) -> str:
        """The manifest of the judge's model, or of the policy where it judges itself."""
        if self.config.judges_itself(getattr(wildcards, "policy", "")):
            return self.manifest_of_policy(wildcards)
        return self.manifest_of_model(self.config.judges[wildcards.judge].model)

    def templates_of_judge(self, wildcards: Wildcards) -> list[str]:
        """The template files of the judge's method, about single turns or whole conversations.

        Of a judge that grades answers and compares them, those of what the job does.
        """
        policy = getattr(wildcards, "policy", BASE)
        found = self.judge_templates(wildcards.judge, self.config.judges_conversations(policy))
        if wildcards.judge not in self.grading_judges:
            return found
        kind = "pair" if hasattr(wildcards, "comparison") else "single"
        return [path for path in found if Path(path).name.startswith(kind)]

    def judge_templates(self, judge: str, conversations: bool = False) -> list[str]:
        """The template files of a judge's method."""
        found = self.config.judges[judge].templates_for(conversations)
        return [self.file_at(path, f"judges.{judge}.templates") for path in found]

    def questions_of_job(self, wildcards: Wildcards) -> list[str]:
        """The shard of questions whose answers a job judges; none where it judges others."""
        policy = getattr(wildcards, "policy", None) or wildcards.comparison
        if temperatures_of(self.config, policy) is None:
            return []
        evaluation = policy.partition(SEPARATOR)[0]
        return [at(paths.EVALUATION_PROMPTS, evaluation=evaluation, shard=wildcards.shard)]

    def first_template_of_judge(self, wildcards: Wildcards) -> str:
        """The template that asks for the critique."""
        return self.templates_of_judge(wildcards)[0]
