"""What decides each stage's outputs besides its inputs and its code: the param `spec` of its rule.

A spec is one canonical JSON text of the settings that a stage uses, and no others. Snakemake compares
it with that of the last time, so a setting that is not in it reruns nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from wim.dag.comparisons import LABELLED, Comparisons
from wim.dag.inputs import Inputs, Wildcards
from wim.dag.rounds import Rounds, policy_of_round
from wim.dag.training import Training
from wim.provenance.code_changes import effective_code, script_code
from wim.provenance.digest import canonical_json
from wim.settings.config import Config
from wim.settings.evaluated import temperatures_of
from wim.settings.gate import seed_of_policy
from wim.settings.grid import axes_of_arms
from wim.settings.section import Section
from wim.settings.sft import REFERENCES

# The settings of pairs that act on those of a comparison.
COMPARED = ("min_margin", "cut")


def spec(**settings: object) -> str:
    """Settings as one canonical text, which Snakemake compares.

    Rules have it by a function: in a plain text Snakemake would read {word} as a wildcard.
    """
    return canonical_json(
        {
            name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            for name, value in settings.items()
        }
    )


def code_of(stage: str) -> str:
    """The digest of the code that a stage's script executes, or what it is accepted as."""
    return effective_code(stage, script_code(stage))


def card_settings(sections: Mapping[str, Section]) -> dict[str, Any]:
    """What a model card shows of the settings upstream of its data: those that are no defaults."""
    return {
        name: section.model_dump(mode="json", exclude_defaults=True, exclude={"templates"})
        for name, section in sections.items()
    }


@dataclass(frozen=True)
class Specs:
    """The specs of the stages by a configuration; of those with wildcards, as a function of them."""

    inputs: Inputs

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.inputs.config

    # Prompts and models.

    def stage_prompts(self, wildcards: Wildcards, output: Any) -> str:
        """The source of a data set on the hub."""
        return spec(source=self.inputs.hub_prompts[output.files])

    def topics(self, wildcards: Wildcards) -> str:
        """How topics are proposed and chosen, and what decides the models' answers."""
        topics = self.config.prompts.topics
        assert topics is not None
        return spec(
            topics=topics.identity(),
            answering=[self.config.models[name].answering for name in self.inputs.proposers],
            seed=self.config.seed,
        )

    def prompts(self, wildcards: Wildcards) -> str:
        """What is read and kept of the prompt files."""
        return spec(prompts=self.config.prompts.identity())

    def shards(self, wildcards: Wildcards) -> str:
        """The number of shards."""
        return spec(shards=self.config.prompts.shards)

    def model(self, wildcards: Wildcards) -> str:
        """What decides a staged model's files."""
        return spec(model=self.config.models[wildcards.model].staging)

    # Dialogues, and what judges say of them.

    def dialogues(self, wildcards: Wildcards) -> str:
        """How the policy's completions are sampled, and what decides its models' answers."""
        models = [self.config.source_of(name) for name in self.inputs.speakers(wildcards.policy)]
        temperatures = temperatures_of(self.config, wildcards.policy)
        return spec(
            dialogues=self.config.policy_dialogues(wildcards.policy).identity(),
            answering=[model.answering for model in models],
            seed=self.config.seed,
            **({} if temperatures is None else {"temperatures": temperatures}),
        )

    def ratings(self, wildcards: Wildcards) -> str:
        """The judge's settings but for its templates, which are inputs, and what it judges."""
        judge = self.config.judges[wildcards.judge]
        model = self.config.judge_model(wildcards.judge, wildcards.policy)
        return spec(
            judge=judge.identity(),
            seed=seed_of_policy(wildcards.policy, self.config.seed),
            **(model.answering | model.choosing | self._judged(wildcards.policy)),
        )

    def embeddings(self, wildcards: Wildcards) -> str:
        """What was judged, and how long texts are read; the encoder and the texts are inputs."""
        return spec(**self._judged(wildcards.policy), **self.config.embeddings.identity())

    def _judged(self, policy: str) -> dict[str, str]:
        """What candidates are judged by, where that is more than their answers."""
        whole = self.config.judges_conversations(policy)
        return ({"judged": "conversations"} if whole else {}) | self._reasoning(policy)

    def _reasoning(self, policy: str) -> dict[str, str]:
        """Whether a policy's reasoning is judged, where it is."""
        return {"reasoning": "judged"} if self.config.judges_reasoning(policy) else {}

    def comparisons(self, wildcards: Wildcards) -> str:
        """The judge's settings but for its templates, and which candidates are compared."""
        judge = self.config.judges[wildcards.judge]
        model = self.config.source_of(judge.model)
        named = self.config.comparisons.get(wildcards.comparison)
        return spec(
            judge=judge.identity(),
            per_context=named and named.per_context,
            seed=self.config.seed,
            **(model.answering | model.choosing | self._reasoning(wildcards.comparison)),
        )

    def reward(self, wildcards: Wildcards) -> str:
        """The reward and what it uses."""
        seed = seed_of_policy(wildcards.policy, self.config.seed)
        return spec(**self.config.rewards[wildcards.reward].identity(seed))

    # The gate.

    def labelled(self, wildcards: Wildcards) -> str:
        """Which of the labelled pairs are taken in: all, or some of them to be judged again."""
        if wildcards.policy == LABELLED:
            return spec()
        return spec(share=self.config.gate.retest, seed=self.config.seed)

    def gate(self, wildcards: Wildcards) -> str:
        """The rewards and judges of pairs that are measured."""
        return spec(
            rewards=list(self.config.rewards),
            judges=self.inputs.pair_judges,
            seed=self.config.seed,
        )

    def bar(self, wildcards: Wildcards) -> str:
        """What a reward's accuracy is to exceed."""
        return spec(bar=self.config.gate.bar)

    # Rounds and pairs.

    def selection(self, wildcards: Wildcards) -> str:
        """The number of the round, and the slices that its arm deals the prompts out to."""
        rounds = self.config.arm_rounds(wildcards.arm)
        return spec(number=int(wildcards.round), slices=rounds.slices_of_prompts)

    def convergence(self, wildcards: Wildcards) -> str:
        """The number of the round, and when its arm has converged."""
        rounds = self.config.arm_rounds(wildcards.arm)
        return spec(number=int(wildcards.round), stop=rounds.stop)

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

    # Training.

    def training(self, wildcards: Wildcards) -> str:
        """The training of an arm's round, and for the model card how its pairs were made."""
        arm, number = wildcards.arm, int(wildcards.round)
        start = self.config.start_of(arm)
        sft = self.config.sft.get(start) if number == 1 else None
        rate = {"sft_learning_rate": sft.learning_rate} if sft else {}
        upstream = self.config.upstream_settings(arm, number) | ({"sft": sft} if sft else {})
        training = self.config.arm_training(arm, number)
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

    # Reports.

    def audit(self, wildcards: Wildcards) -> str:
        """The seed by which critiques are set beside those of other responses."""
        return spec(seed=self.config.seed)

    def summary(self, wildcards: Wildcards) -> str:
        """What the summary shows of rewards, arms and trained models."""
        rewards = {
            name: reward.identity(self.config.seed)["reward"]
            for name, reward in self.config.rewards.items()
        }
        rounds = Rounds(self.inputs)
        arms = {
            rounds.name(arm, number): {
                "reward": self.config.arms[arm].labelled_by,
                "loss": self.config.arm_training(arm, number).loss_label,
            }
            for arm, number in rounds.all
        }
        return spec(rewards=rewards, arms=arms, **self._other_trainings())

    def _other_trainings(self) -> dict[str, Any]:
        """What the summary shows of fine-tunings and reward models, where there are any."""
        if not self.config.sft and not self.config.reward_models:
            return {}
        sft = {
            name: settings.model_dump(mode="json", include={"completions", "prompts"})
            for name, settings in self.config.sft.items()
        }
        arms = {name: {"arm": each.arm} for name, each in self.config.reward_models.items()}
        return {"trained": {"sft": sft, "reward_models": arms}}

    def rounds(self, wildcards: Wildcards) -> str:
        """The arms that have several rounds, with the number of each."""
        return spec(rounds=Rounds(self.inputs).repeated)

    def sweep(self, wildcards: Wildcards) -> str:
        """The arms, and what differs between those of a grid."""
        return spec(arms=list(self.config.arms), grids=axes_of_arms(self.config.grid))
