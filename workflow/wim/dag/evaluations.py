"""What evaluations read: their prompts, the answers of each speaker, and what was said of them."""

from dataclasses import dataclass

from wim import paths
from wim.dag.comparisons import Comparisons
from wim.dag.inputs import Inputs, Wildcards, one_of
from wim.dag.rewards import Gate
from wim.paths import at
from wim.settings.evaluated import (
    SEPARATOR,
    Evaluated,
    checkpoint_of,
    evaluated_policy,
    speakers_of,
)
from wim.settings.evaluations import EvaluationSettings
from wim.settings.gate import LABELLED
from wim.settings.prompts import staged_path

# The numbers of an evaluation that trackers have. Not in wim.paths, which every stage's code has in it.
TRACKED = paths.evaluation("tracked/{evaluation}.json")


@dataclass(frozen=True)
class Evaluations:
    """The evaluations of the configuration."""

    inputs: Inputs

    @property
    def of_answers(self) -> list[str]:
        """The evaluations of answers to prompts; those of the harness are no such."""
        return [
            name for name, each in self.inputs.config.evaluations.items() if not each.by_harness
        ]

    def settings(self, name: str) -> EvaluationSettings:
        """Those of an evaluation."""
        return self.inputs.config.evaluations[name]

    def prompt_files(self, wildcards: Wildcards) -> list[str]:
        """The files of an evaluation's prompts; of held-out prompts all shards of the run's."""
        prompts = self.settings(wildcards.evaluation).own_prompts(wildcards.evaluation)
        if prompts is None:
            return self.inputs.prompt_shards()
        key = f"evaluations.{wildcards.evaluation}.prompts.files"
        return [staged_path(path) or self.inputs.file_at(path, key) for path in prompts.files]

    def reference_answers(self, wildcards: Wildcards) -> list[str]:
        """The file of reference answers to an evaluation's questions, if it names one."""
        path = self.settings(wildcards.evaluation).reference_answers
        key = f"evaluations.{wildcards.evaluation}.reference_answers"
        return [] if path is None else [self.inputs.file_at(path, key)]

    def prompt_shards(self, evaluation: str) -> list[str]:
        """The prompts of an evaluation, all shards: as many as the run's own prompts have."""
        return [
            at(paths.EVALUATION_PROMPTS, evaluation=evaluation, shard=shard)
            for shard in self.inputs.shards
        ]

    def prompts(self, wildcards: Wildcards) -> list[str]:
        """The prompts of a job's evaluation, all shards."""
        return self.prompt_shards(wildcards.evaluation)

    def trained_prompts(self, wildcards: Wildcards) -> list[str]:
        """The run's prompts, all shards, where a speaker was trained on them."""
        config, name = self.inputs.config, wildcards.evaluation
        trained = any(
            speaker in config.sft or checkpoint_of(config, speaker)
            for speaker in speakers_of(config, name)
        )
        discovered = config.discovery is not None and config.discovery.fitness.evaluation == name
        return self.inputs.prompt_shards() if trained or discovered else []

    def prompts_of_written(self, wildcards: Wildcards) -> str:
        """The shard of prompts that a file of answers answers."""
        evaluation = wildcards.policy.partition("@")[0]
        return at(paths.EVALUATION_PROMPTS, evaluation=evaluation, shard=wildcards.shard)

    def answers_file(self, wildcards: Wildcards) -> list[str]:
        """The file of a speaker's answers; none for those that came with the prompts."""
        evaluation, _, speaker = wildcards.policy.partition("@")
        path = self.settings(evaluation).answers.get(speaker)
        key = f"evaluations.{evaluation}.answers.{speaker}"
        return [] if path is None else [self.inputs.file_at(path, key)]

    def answers(self, wildcards: Wildcards) -> list[str]:
        """The answers of all speakers, speaker by speaker, the reference's first."""
        name = wildcards.evaluation
        return [
            path
            for speaker in speakers_of(self.inputs.config, name)
            for path in self.inputs.dialogues_of(evaluated_policy(name, speaker))
        ]

    def _measured(self, name: str) -> list[str]:
        """The speakers of an evaluation whose distance from their start is measured."""
        config = self.inputs.config
        speakers = speakers_of(config, name) if self.settings(name).measures_kl else []
        return [speaker for speaker in speakers if checkpoint_of(config, speaker)]

    @property
    def measured_pattern(self) -> str:
        """A regular expression of the policies whose distance from their start is measured."""
        own = [
            evaluated_policy(name, speaker)
            for name in self.inputs.config.evaluations
            for speaker in self._measured(name)
        ]
        discovered = [
            policy
            for policy in self.inputs.discovered_policies
            if self.settings(policy.partition(SEPARATOR)[0]).measures_kl
        ]
        return one_of([*own, *discovered])

    def measured(self, wildcards: Wildcards) -> list[str]:
        """How far each trained speaker is from its start, speaker by speaker."""
        name = wildcards.evaluation
        return [
            at(paths.KL, policy=evaluated_policy(name, speaker)) for speaker in self._measured(name)
        ]

    def manifests_of_measured(self, wildcards: Wildcards) -> list[str]:
        """The manifests of a checkpoint, and of the model that its arm started from."""
        config, evaluated = self.inputs.config, Evaluated.of(wildcards.policy)
        if config.discovery and wildcards.policy in self.inputs.discovered_policies:
            arm = config.discovery.arm
        else:
            checkpoint = checkpoint_of(config, evaluated.speaker) if evaluated else None
            assert checkpoint is not None
            arm = checkpoint[0]
        start = self.inputs.manifest_of_model(config.start_of(arm))
        return [self.inputs.manifest_of_policy(wildcards), start]

    def length_control(self, wildcards: Wildcards) -> list[str]:
        """The files of length-controlled win rates: instructions, difficulties, gamed rows."""
        return self.length_control_of(wildcards.evaluation)

    def length_control_of(self, name: str) -> list[str]:
        """The same of an evaluation by its name."""
        settings = self.settings(name)
        return [
            self.inputs.file_at(path, f"evaluations.{name}.{key}")
            for key in ("instructions", "difficulties", "gamed")
            if (path := getattr(settings, key)) is not None
        ]

    def comparisons(self, wildcards: Wildcards) -> list[str]:
        """What the judge said of each speaker and the reference, speaker by speaker."""
        name, of = wildcards.evaluation, Comparisons(self.inputs)
        judge = self.settings(name).judge
        return [
            path
            for comparison in of.of_evaluations
            if judge is not None and comparison.startswith(f"{name}@")
            for path in of.shards(comparison, judge)
        ]

    def rewards_of(self, name: str) -> list[str]:
        """The rewards that an evaluation reads."""
        settings = self.settings(name)
        if settings.of_rewards:
            return settings.rewards or list(self.inputs.config.rewards)
        return [settings.reward] if settings.reward else []

    def rewards(self, wildcards: Wildcards) -> list[str]:
        """The rewards tables of each speaker's answers, reward by reward."""
        name = wildcards.evaluation
        return [
            at(paths.REWARDS, policy=evaluated_policy(name, speaker), reward=reward)
            for reward in self.rewards_of(name)
            for speaker in speakers_of(self.inputs.config, name)
        ]

    def ratings(self, wildcards: Wildcards) -> list[str]:
        """What was said of each speaker's answers, judge by judge and speaker by speaker.

        By the judges of an evaluation's reward; of questions the grades, where answers are graded.
        """
        config, name = self.inputs.config, wildcards.evaluation
        return [
            at(paths.RATINGS, policy=evaluated_policy(name, speaker), judge=judge, shard=shard)
            for judge in self.rating_judges(name)
            for speaker in speakers_of(config, name)
            for shard in self.inputs.shards
        ]

    def rating_judges(self, name: str) -> list[str]:
        """The judges that rate single answers of an evaluation."""
        settings = self.settings(name)
        if settings.kind == "mt_bench" and settings.mode == "single" and settings.judge:
            return [settings.judge]
        return self.inputs.config.judges_of(settings.reward) if settings.reward else []

    def labels(self, wildcards: Wildcards) -> list[str]:
        """The gate's labelled pairs, where the judge or the reward is measured on them."""
        return self.labels_of(wildcards.evaluation)

    def labels_of(self, name: str) -> list[str]:
        """The same of an evaluation by its name."""
        return Gate(self.inputs).pairs() if self.labelled_of(name) else []

    def labelled(self, wildcards: Wildcards) -> list[str]:
        """What the judge or the reward says of the gate's labelled pairs."""
        return self.labelled_of(wildcards.evaluation)

    def labelled_of(self, name: str) -> list[str]:
        """The same of an evaluation by its name."""
        settings = self.settings(name)
        if self.inputs.config.gate.pairs is None or settings.kind != "win_rate":
            return []
        if settings.judge is not None:
            return Comparisons(self.inputs).shards(LABELLED, settings.judge)
        if settings.reward is not None:
            return [at(paths.REWARDS, policy=LABELLED, reward=settings.reward)]
        return []

    @property
    def exports(self) -> list[str]:
        """What every evaluation of answers exports for other tools."""
        return [at(paths.EVALUATION_EXPORTS, evaluation=name) for name in self.of_answers]

    @property
    def verdicts(self) -> list[str]:
        """The file of all verdicts; none where nothing is evaluated."""
        return [paths.VERDICT] if self.inputs.config.evaluations else []

    def card(self, wildcards: Wildcards) -> str:
        """The model card of an arm's last round, as its training wrote it."""
        last = self.inputs.config.arm_rounds(wildcards.arm).count
        return at(paths.CHECKPOINT_CARD, arm=wildcards.arm, round=last)

    def tables_of_arm(self, wildcards: Wildcards) -> list[str]:
        """The figures of the evaluations that an arm's last checkpoint has a part in."""
        return [
            at(paths.EVALUATION, evaluation=name)
            for name in self.inputs.config.evaluations
            if wildcards.arm in speakers_of(self.inputs.config, name)
        ]

    @property
    def cards(self) -> list[str]:
        """The card of every arm that is evaluated."""
        config = self.inputs.config
        evaluated = {name for each in config.evaluations for name in speakers_of(config, each)}
        return [at(paths.EVALUATED_CARD, arm=arm) for arm in config.arms if arm in evaluated]

    @property
    def tracked(self) -> list[str]:
        """What of every evaluation is written to trackers, if there are any."""
        config = self.inputs.config
        named = config.evaluations if config.tracking else ()
        return [at(TRACKED, evaluation=name) for name in named]

    @property
    def tables(self) -> list[str]:
        """The figures of every evaluation."""
        return [at(paths.EVALUATION, evaluation=name) for name in self.inputs.config.evaluations]
