"""Which models a run uses, and the files that those on this machine are made of."""

from dataclasses import dataclass
from pathlib import Path

from wim.dag.inputs import Inputs, Wildcards
from wim.settings.config import Config
from wim.settings.evaluated import measured_by_harness, model_of


@dataclass(frozen=True)
class Models:
    """The models that the stages use, by their names under `models` of the configuration."""

    inputs: Inputs

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.inputs.config

    @property
    def of_stages(self) -> list[str]:
        """The language models that stages run or train, as staged, in the order of the stages."""
        inputs, config = self.inputs, self.config
        policies = [*inputs.policies, *inputs.generating_speakers]
        speakers = [name for policy in policies for name in inputs.speakers(policy)]
        judging = [*config.consulted_judges, *inputs.pair_judges, *inputs.grading_judges]
        judges = [each.model for name, each in config.judges.items() if name in judging]
        starts = map(config.start_of, config.arms)
        measured = [model_of(config, each.speaker) for each in measured_by_harness(config)]
        names = [*speakers, *judges, *config.sft, *config.reward_models, *starts, *measured]
        if config.discovery and config.discovery.proposer.model:
            names.append(config.discovery.proposer.model)
        return list(dict.fromkeys(map(config.origin_of, names)))

    @property
    def used(self) -> list[str]:
        """All staged models that the workflow runs or trains, in alphabetical order."""
        proposers = map(self.config.origin_of, self.inputs.proposers)
        return sorted({*self.encoders, *self.of_stages, *proposers})

    @property
    def encoders(self) -> list[str]:
        """The model that embeds texts, if a reward or the topics need that."""
        embeds = any("embeddings" in reward.reads for reward in self.config.rewards.values())
        return [self.config.embeddings.encoder] if embeds or self.inputs.proposers else []

    def source_files(self, wildcards: Wildcards) -> list[str]:
        """The files of a model that is on this machine, so that other weights are noticed."""
        return self.files_of_source(wildcards.model)

    def files_of_source(self, model: str) -> list[str]:
        """The files on this machine that a model is made of, sorted; none for one of the hub."""
        found: list[Path] = []
        for key, place in self.config.models[model].places.items():
            path = Path(self.inputs.file_at(place, f"models.{model}.{key}"))
            found += path.rglob("*") if path.is_dir() else [path]
        return sorted(str(file) for file in found if file.is_file())
