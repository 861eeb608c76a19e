"""What decides each stage's outputs besides its inputs and its code: the param `spec` of its rule.

A spec is one canonical JSON text of the settings that a stage uses, and no others. Snakemake compares
it with that of the last time, so a setting that is not in it reruns nothing. The specs of pairs and
trainings are in wim.dag.training_specs, those of evaluations in wim.dag.evaluation_specs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from wim.dag.inputs import Inputs, Wildcards
from wim.dag.measured import measured_rewards
from wim.dag.rewards import Rewards
from wim.dag.rounds import Rounds
from wim.provenance.code_changes import effective_code, script_code
from wim.provenance.digest import canonical_json
from wim.settings.config import Config
from wim.settings.evaluated import temperatures_of
from wim.settings.gate import LABELLED, RETEST, seed_of_policy
from wim.settings.grid import axes_of_arms


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
        name = wildcards.model
        staging = self.config.models[name].staging
        if template := staging.get("chat_template"):
            key = f"models.{name}.chat_template"
            staging = {**staging, "chat_template": self.inputs.file_at(template, key)}
        return spec(model=staging)

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

    def samples(self, wildcards: Wildcards) -> str:
        """As `ratings`, and how often the judge judges a candidate."""
        judge = self.config.judges[wildcards.judge]
        model = self.config.judge_model(wildcards.judge, wildcards.policy)
        return spec(
            judge=judge.identity(),
            samples=judge.samples,
            seed=seed_of_policy(wildcards.policy, self.config.seed),
            # How often an API is asked for a number has the same name.
            **({"choosing": model.choosing} if model.choosing else {}),
            **(model.answering | self._judged(wildcards.policy)),
        )

    def labels(self, wildcards: Wildcards) -> str:
        """As `ratings`, of a classifier: its label."""
        judge = self.config.judges[wildcards.judge]
        model = self.config.judge_model(wildcards.judge, wildcards.policy)
        return spec(label=judge.label, **(model.answering | self._judged(wildcards.policy)))

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

    def reward_by_critique(self, wildcards: Wildcards) -> str:
        """The reward and what it uses, and how often its judge judges a candidate."""
        seed = seed_of_policy(wildcards.policy, self.config.seed)
        reward = self.config.rewards[wildcards.reward]
        samples = self.config.sampled(wildcards.reward)
        return spec(**reward.identity(seed), samples=samples)

    def reward_by_aspect(self, wildcards: Wildcards) -> str:
        """The reward and what it uses, the judge's aspects, and how often it judges a candidate."""
        seed = seed_of_policy(wildcards.policy, self.config.seed)
        reward = self.config.rewards[wildcards.reward]
        judge = self.config.judges[str(reward.judge)]
        return spec(**reward.identity(seed), aspects=list(judge.questions), samples=judge.samples)

    def heads(self, wildcards: Wildcards) -> str:
        """What a reward's head learns from, and how texts are read."""
        reward = self.config.rewards[wildcards.reward]
        recorded = self.config.study.recorded
        return spec(
            reward=reward.model_dump(mode="json", include={"learns_from", "fit", "vectors"}),
            recorded=[
                [name, recorded[name].model_dump(mode="json")]
                for name in reward.learns_from
                if name in recorded
            ],
            judges=[name for name in reward.learns_from if name in self.config.judges],
            labelled=LABELLED in reward.learns_from,
            **self.config.gate.form,
            **self.config.embeddings.identity(),
        )

    # The gate.

    def labelled(self, wildcards: Wildcards) -> str:
        """Which of the labelled pairs are taken in: all, or some of them to be judged again."""
        gate = self.config.gate
        if wildcards.policy == RETEST:
            return spec(share=gate.retest, seed=self.config.seed, **gate.form)
        return spec(**({} if wildcards.policy == LABELLED else {"paired": True}), **gate.form)

    def gate(self, wildcards: Wildcards) -> str:
        """The rewards and judges of pairs that are measured, and whose the labels are."""
        without = Rewards(self.inputs).without_cosines
        return spec(
            rewards=list(self.config.rewards),
            judges=self.inputs.pair_judges,
            labelled_by=self.config.gate.labelled_by,
            **self.config.gate.form,
            **({"without_cosines": without} if without else {}),
        )

    def tuning(self, wildcards: Wildcards) -> str:
        """What is tuned, and the seed by which prompts are divided."""
        gate = self.config.gate
        return spec(tuned=gate.tuned, seed=self.config.seed, **gate.form)

    def bar(self, wildcards: Wildcards) -> str:
        """What a reward's accuracy is to exceed, and on how many pairs."""
        return spec(bar=self.config.gate.bar, least_pairs=self.config.gate.least_pairs)

    # Rounds.

    def selection(self, wildcards: Wildcards) -> str:
        """The number of the round, and the slices that its arm deals the prompts out to."""
        rounds = self.config.arm_rounds(wildcards.arm)
        return spec(number=int(wildcards.round), slices=rounds.slices_of_prompts)

    def convergence(self, wildcards: Wildcards) -> str:
        """The number of the round, and when its arm has converged."""
        rounds = self.config.arm_rounds(wildcards.arm)
        return spec(number=int(wildcards.round), stop=rounds.stop)

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
        # As the study names the gate's set.
        labels = ", ".join(Path(path).name for path in self.config.gate.files)
        measured = measured_rewards(rewards, labels)
        return spec(
            rewards=rewards,
            arms=arms,
            **({"measured": measured} if measured else {}),
            **self._other_trainings(),
        )

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

    def costs(self, wildcards: Wildcards) -> str:
        """What tokens cost."""
        prices = self.config.prices
        return spec(prices={name: price.model_dump(mode="json") for name, price in prices.items()})

    def rounds(self, wildcards: Wildcards) -> str:
        """The arms that have several rounds, with the number of each."""
        return spec(rounds=Rounds(self.inputs).repeated)

    def sweep(self, wildcards: Wildcards) -> str:
        """The arms, and what differs between those of a grid."""
        return spec(arms=list(self.config.arms), grids=axes_of_arms(self.config.grid))
