"""What decides pairs and trainings: the param `spec` of their rules; see wim.dag.specs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wim.dag.comparisons import Comparisons
from wim.dag.inputs import Inputs, Wildcards
from wim.dag.own_losses import OwnLosses
from wim.dag.rounds import policy_of_round
from wim.dag.specs import spec
from wim.dag.training import Training
from wim.settings.config import Config
from wim.settings.section import Section
from wim.settings.sft import REFERENCES

# The settings of pairs that act on those of a comparison.
COMPARED = ("min_margin", "cut")


def card_settings(sections: Mapping[str, Section]) -> dict[str, Any]:
    """What a model card shows of the settings upstream of its data: those that are no defaults."""
    return {
        name: section.model_dump(mode="json", exclude_defaults=True, exclude={"templates"})
        for name, section in sections.items()
    }


@dataclass(frozen=True)
class TrainingSpecs:
    """The specs of stages that make pairs or train, as functions of their wildcards."""

    inputs: Inputs

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.inputs.config

    def pairs(self, wildcards: Wildcards) -> str:
        """How an arm's round pairs candidates by a reward, and the names that its rows carry."""
        arm, number = wildcards.arm, int(wildcards.round)
        reward = self.config.arms[arm].reward or ""
        names = {
            "policy": policy_of_round(arm, number),
            "judge": "+".join(self.config.judges_of(reward)),
            "reward": reward,
        }
        return spec(
            pairs=self.config.arm_pairs(arm, number).identity(),
            names=names,
            seed=self.config.seed,
            **self._prompts_of_sft(arm),
        )

    def compared_pairs(self, wildcards: Wildcards) -> str:
        """How an arm pairs candidates by a comparison, and the names that its rows carry."""
        name = Comparisons(self.inputs).name_of(wildcards.arm)
        comparison, pairs = self.config.comparisons[name], self.config.arm_pairs(wildcards.arm)
        return spec(
            pairs={name: each for name, each in pairs.identity().items() if name in COMPARED},
            between=comparison.between,
            names={"judge": comparison.judge, "reward": name},
            **self._prompts_of_sft(wildcards.arm),
        )

    def _prompts_of_sft(self, arm: str) -> dict[str, float]:
        """The share of prompts that the arm's model was fine-tuned on, where others are left."""
        sft = self.config.sft.get(self.config.start_of(arm))
        return {"sft_prompts": sft.prompts} if sft and sft.prompts < 1 else {}

    def training(self, wildcards: Wildcards) -> str:
        """The training of an arm's round, and for the model card how its pairs were made."""
        arm, number = wildcards.arm, int(wildcards.round)
        start = self.config.start_of(arm)
        sft = self.config.sft.get(start) if number == 1 else None
        rate = {"sft_learning_rate": sft.learning_rate} if sft else {}
        upstream = self.config.upstream_settings(arm, number) | ({"sft": sft} if sft else {})
        training = OwnLosses(self.inputs).training(arm, number)
        label = self.config.arms[arm].labelled_by
        return spec(
            training=training,
            seed=self.config.arm_seed(arm),
            names={"arm": arm, "round": number, "reward": label, **rate},
            behind=card_settings(upstream),
            **self.config.source_of(start).below(training.lora),
            **self.config.trained_turns(start),
        )

    def online_training(self, wildcards: Wildcards) -> str:
        """The arm's training and all that generates and labels its pairs, without the templates."""
        arm = wildcards.arm
        reward = Training(self.inputs).online_reward(arm)
        judge = self.config.judges[reward.judge] if reward.judge else None
        model = self.config.source_of(judge.model) if judge else None
        training = self.config.arm_training(arm)
        names = {
            "arm": arm,
            "round": int(wildcards.round),
            "reward": self.config.arms[arm].reward,
            "judge": reward.judge,
        }
        return spec(
            training=training,
            pairs=self.config.arm_pairs(arm).identity(),
            dialogues=self.config.dialogues.identity(),
            judge=judge and judge.identity(),
            reward=reward.identity(self.config.seed)["reward"],
            answering=model and model.answering | model.choosing,
            seed=self.config.arm_seed(arm),
            judging_seed=self.config.seed,
            names=names,
            **self._prompts_of_sft(arm),
            **(self.config.embeddings.identity() if "embeddings" in reward.reads else {}),
            behind=card_settings(self.config.upstream_settings(arm)),
            **self.config.source_of(self.config.start_of(arm)).below(training.lora),
            **self.config.trained_turns(self.config.start_of(arm)),
        )

    def sft(self, wildcards: Wildcards) -> str:
        """A fine-tuning's settings, and for the model card how its completions were made."""
        settings = self.config.sft[wildcards.sft]
        of_policy = settings.completions != REFERENCES
        dialogues = self.config.policy_dialogues(settings.completions)
        return spec(
            sft=settings,
            **({"system": None} if of_policy else dialogues.system_message),
            seed=self.config.seed,
            behind=card_settings({"dialogues": dialogues} if of_policy else {}),
            **self.config.source_of(wildcards.sft).below(settings.lora),
            **self.config.trained_turns(wildcards.sft),
        )

    def reward_model(self, wildcards: Wildcards) -> str:
        """A reward model's settings, and for the model card how its pairs were made."""
        settings = self.config.reward_models[wildcards.reward_model]
        upstream = card_settings(self.config.upstream_settings(settings.arm))
        turns = self.config.trained_turns()
        return spec(reward_model=settings, seed=self.config.seed, behind=upstream, **turns)
