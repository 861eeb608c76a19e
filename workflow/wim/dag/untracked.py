"""The settings that a job of each kind is given and that rerun nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from wim.dag.harness import Harness
from wim.dag.inputs import Inputs, Wildcards
from wim.dag.training import Training
from wim.settings.config import Config
from wim.settings.models import ModelSource
from wim.settings.untracked import Untracked


def untracked(config: Config, models: Iterable[ModelSource] = ()) -> Untracked:
    """The settings of the configuration that rerun nothing, with those of a rule's models."""
    return Untracked(
        models=tuple(models),
        store=config.store,
        local_scratch=config.local_scratch,
        tracking=tuple(config.tracking),
        parallel=config.parallel,
    )


@dataclass(frozen=True)
class UntrackedOf:
    """The untracked settings of each kind of job."""

    inputs: Inputs

    def job(self, wildcards: Wildcards) -> Untracked:
        """Of a job whose models have no settings beside their manifests."""
        return untracked(self.inputs.config)

    def arm(self, wildcards: Wildcards) -> Untracked:
        """With the attention of the model that an arm trains."""
        return self._training(self.inputs.config.start_of(wildcards.arm))

    def sft(self, wildcards: Wildcards) -> Untracked:
        """With the attention of the model that a fine-tuning trains."""
        return self._training(wildcards.sft)

    def reward_model(self, wildcards: Wildcards) -> Untracked:
        """With the attention of the model that a reward model is trained from."""
        return self._training(wildcards.reward_model)

    def _training(self, model: str) -> Untracked:
        attention = self.inputs.config.source_of(model).attention
        return replace(untracked(self.inputs.config), attention=attention)

    def proposers(self, wildcards: Wildcards) -> Untracked:
        """With the models that propose topics."""
        return self._with(self.inputs.proposers)

    def speakers(self, wildcards: Wildcards) -> Untracked:
        """With the models that speak in the policy's dialogues."""
        return self._with(self.inputs.speakers(wildcards.policy))

    def measured(self, wildcards: Wildcards) -> Untracked:
        """With a checkpoint and the model that it was trained from, which run in one way."""
        return self._with(2 * self.inputs.speakers(wildcards.policy)[:1])

    def judge(self, wildcards: Wildcards) -> Untracked:
        """With the model of the judge of the policy's dialogues."""
        config = self.inputs.config
        return untracked(config, [config.judge_model(wildcards.judge, wildcards.policy)])

    def pair_judge(self, wildcards: Wildcards) -> Untracked:
        """With the model of the judge of pairs."""
        return self._with([self.inputs.config.judges[wildcards.judge].model])

    def online_judge(self, wildcards: Wildcards) -> Untracked:
        """With the model of the judge of an arm that trains online, if its reward reads one."""
        judge = Training(self.inputs).online_reward(wildcards.arm).judge
        models = [] if judge is None else [self.inputs.config.judges[judge].model]
        attention = self.arm(wildcards).attention
        return replace(self._with(models), attention=attention)

    def harness(self, wildcards: Wildcards) -> Untracked:
        """Of a job of the harness, with its Python."""
        python = Harness(self.inputs).python(wildcards.evaluation)
        return replace(untracked(self.inputs.config), harness=python)

    def _with(self, models: Iterable[str]) -> Untracked:
        config = self.inputs.config
        return untracked(config, map(config.source_of, models))
