"""What fine-tunings, reward models and online DPO read."""

from dataclasses import dataclass

from wim import paths
from wim.dag.inputs import Inputs, Wildcards
from wim.paths import at
from wim.settings.losses import LOSSES
from wim.settings.rewards import RewardSettings
from wim.settings.sft import REFERENCES


@dataclass(frozen=True)
class Training:
    """The trainings of the configuration besides the rounds of DPO."""

    inputs: Inputs

    def start_of_sft(self, wildcards: Wildcards) -> str:
        """The manifest of the model that a fine-tuning starts from."""
        start = self.inputs.config.sft[wildcards.sft].model
        return self.inputs.manifest_of_model(start or self.inputs.config.dialogues.actor)

    def dialogues_of_sft(self, wildcards: Wildcards) -> list[str]:
        """The dialogues that a fine-tuning learns from; none where it learns references."""
        policy = self.inputs.config.sft[wildcards.sft].completions
        return [] if policy == REFERENCES else self.inputs.dialogues_of(policy)

    def start_of_reward_model(self, wildcards: Wildcards) -> str:
        """The manifest of the model that a reward model starts from."""
        start = self.inputs.config.reward_models[wildcards.reward_model].model
        return self.inputs.manifest_of_model(start or self.inputs.config.dialogues.actor)

    def pairs_of_reward_model(self, wildcards: Wildcards) -> str:
        """The pairs that a reward model learns from."""
        arm = self.inputs.config.reward_models[wildcards.reward_model].arm
        return at(paths.PAIRS, arm=arm, round=1)

    def online_reward(self, arm: str) -> RewardSettings:
        """The reward that labels the pairs of an arm that trains online."""
        reward = self.inputs.config.arms[arm].reward
        assert reward is not None
        return self.inputs.config.rewards[reward]

    def manifest_of_online_judge(self, wildcards: Wildcards) -> list[str]:
        """The manifest of the model of the judge that the arm's reward reads, if it reads one."""
        judge = self.online_reward(wildcards.arm).judge
        if judge is None:
            return []
        return [self.inputs.manifest_of_model(self.inputs.config.judges[judge].model)]

    def templates_of_online_judge(self, wildcards: Wildcards) -> list[str]:
        """The template files of that judge's method."""
        judge = self.online_reward(wildcards.arm).judge
        return [] if judge is None else self.inputs.judge_templates(judge)

    def encoder(self, wildcards: Wildcards) -> list[str]:
        """The encoder's manifest, if the arm's reward is made of vectors."""
        needed = "embeddings" in self.online_reward(wildcards.arm).reads
        return [self.inputs.manifest_of_encoder] if needed else []

    def needs_whole_batches(self, wildcards: Wildcards) -> bool:
        """Whether the loss of an arm depends on which pairs share a forward pass."""
        weights = self.inputs.config.arm_training(wildcards.arm).loss_weights
        return any(LOSSES[name].over_batch for name in weights)
