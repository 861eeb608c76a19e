"""What the discovery of losses reads, and what decides its stages."""

from dataclasses import dataclass

from wim import experiment_paths as files
from wim import paths
from wim.dag.comparisons import Comparisons
from wim.dag.evaluation_specs import EvaluationSpecs
from wim.dag.evaluations import Evaluations
from wim.dag.inputs import Inputs, Wildcards
from wim.dag.rewards import Gate
from wim.dag.rounds import Rounds
from wim.dag.specs import spec
from wim.dag.training_specs import card_settings
from wim.dag.untracked import untracked
from wim.paths import at
from wim.settings.discovery import DiscoverySettings, speaker_of
from wim.settings.evaluated import evaluated_policy
from wim.settings.own_loss import TAKES, PairTrainingSettings
from wim.settings.training import LOSS_OPTIONS
from wim.settings.untracked import Untracked

LOSSES = "config/losses"


@dataclass(frozen=True)
class Discovery:
    """The discovery of the configuration, if it has one."""

    inputs: Inputs

    @property
    def settings(self) -> DiscoverySettings:
        """Those of the discovery, for stages that are part of one."""
        settings = self.inputs.config.discovery
        assert settings is not None
        return settings

    # Candidates: the baselines, then a generation after the other.

    @property
    def baselines(self) -> list[str]:
        """The losses that are trained first."""
        found = self.inputs.config.discovery
        return [] if found is None else list(found.baselines)

    @property
    def generations(self) -> list[str]:
        """The candidates that are proposed."""
        found = self.inputs.config.discovery
        return [] if found is None else found.proposed

    @property
    def candidates(self) -> list[str]:
        """All candidates, in their order."""
        return [*self.baselines, *self.generations]

    def of_generation(self, generation: int) -> list[str]:
        """The candidates of a generation; of 0 the baselines."""
        return self.baselines if generation == 0 else [f"generation{generation}"]

    def _archived(self, pattern: str, wildcards: Wildcards) -> list[str]:
        return [
            at(pattern, candidate=each) for each in self.of_generation(int(wildcards.generation))
        ]

    # What stages read.

    def text_of_baseline(self, wildcards: Wildcards) -> str:
        """The text of a baseline."""
        return self.inputs.file_at(f"{LOSSES}/{wildcards.candidate}.py", "discovery.baselines")

    def archive_before(self, wildcards: Wildcards) -> str:
        """The archive that a generation's proposer is shown."""
        number = int(wildcards.candidate.removeprefix("generation"))
        return at(files.ARCHIVE, generation=number - 1)

    def manifests_of_proposer(self, wildcards: Wildcards) -> list[str]:
        """The manifest of the model that proposes, if it is one."""
        model = self.settings.proposer.model
        return [] if model is None else [self.inputs.manifest_of_model(model)]

    def recorded(self, wildcards: Wildcards) -> list[str]:
        """The file of recorded proposals, if there is one."""
        path = self.settings.proposer.file
        return [] if path is None else [self.inputs.file_at(path, "discovery.proposer.file")]

    def templates(self, wildcards: Wildcards) -> list[str]:
        """The templates of what the proposer is told."""
        return [
            self.inputs.file_at(path, "discovery.templates")
            for path in self.settings.template_paths
        ]

    def pairs(self, wildcards: Wildcards) -> str:
        """The pairs of the arm."""
        return at(paths.PAIRS, arm=self.settings.arm, round=1)

    def start(self, wildcards: Wildcards) -> str:
        """The manifest of the model that every training starts from."""
        return Rounds(self.inputs).start_of_arm(self.settings.arm)

    def proof(self, wildcards: Wildcards) -> str | list[str]:
        """The note that the arm's reward has passed the gate, where there is a bar."""
        return Gate(self.inputs).proof_of(self.settings.arm)

    def proposals_of_generation(self, wildcards: Wildcards) -> list[str]:
        """What was proposed in a generation."""
        return self._archived(files.PROPOSALS, wildcards)

    def outcomes_of_generation(self, wildcards: Wildcards) -> list[str]:
        """What became of a generation's trainings."""
        return self._archived(files.OUTCOME, wildcards)

    def fitness_of_generation(self, wildcards: Wildcards) -> list[str]:
        """What a generation's losses are worth."""
        return self._archived(files.FITNESS, wildcards)

    def earlier_archive(self, wildcards: Wildcards) -> list[str]:
        """The archive that a generation is added to; none for the baselines'."""
        number = int(wildcards.generation)
        return [] if number == 0 else [at(files.ARCHIVE, generation=number - 1)]

    @property
    def last_archive(self) -> list[str]:
        """The archive of all generations."""
        return [at(files.ARCHIVE, generation=len(self.generations))] if self.generations else []

    @property
    def checks(self) -> list[str]:
        """What was checked of each candidate."""
        return [at(files.CHECK, candidate=each) for each in self.candidates]

    # The evaluation that is the fitness, of a candidate and the reference.

    @property
    def evaluated(self) -> list[str]:
        """The candidates that an evaluation compares with its reference."""
        return list(self.inputs.discovered_policies.values())

    def speakers(self, candidate: str) -> list[str]:
        """The reference of the evaluation, and a candidate."""
        evaluation = str(self.settings.fitness.evaluation)
        reference = self.inputs.config.evaluations[evaluation].reference
        return [reference, speaker_of(candidate)]

    def policies(self, wildcards: Wildcards) -> list[str]:
        """The policies of their answers."""
        evaluation = str(self.settings.fitness.evaluation)
        return [evaluated_policy(evaluation, each) for each in self.speakers(wildcards.candidate)]

    def evaluation_prompts(self, wildcards: Wildcards) -> list[str]:
        """The prompts of the evaluation, all shards."""
        return Evaluations(self.inputs).prompt_shards(str(self.settings.fitness.evaluation))

    def leaks(self, wildcards: Wildcards) -> str:
        """Which of them stand in what was trained on."""
        return at(paths.LEAKS, evaluation=str(self.settings.fitness.evaluation))

    def answers(self, wildcards: Wildcards) -> list[str]:
        """The answers of both, all shards."""
        return [
            path for policy in self.policies(wildcards) for path in self.inputs.dialogues_of(policy)
        ]

    def ratings(self, wildcards: Wildcards) -> list[str]:
        """What was said of both by the judges of the evaluation, judge by judge."""
        judges = Evaluations(self.inputs).rating_judges(str(self.settings.fitness.evaluation))
        return [
            at(paths.RATINGS, policy=policy, judge=judge, shard=shard)
            for judge in judges
            for policy in self.policies(wildcards)
            for shard in self.inputs.shards
        ]

    def comparisons(self, wildcards: Wildcards) -> list[str]:
        """What a judge of pairs says of the candidate and the reference, where one decides."""
        settings = self.inputs.config.evaluations[str(self.settings.fitness.evaluation)]
        pairwise = settings.kind == "win_rate" or settings.mode == "pairwise"
        if settings.judge is None or not pairwise:
            return []
        return Comparisons(self.inputs).shards(self.policies(wildcards)[1], settings.judge)

    def rewards(self, wildcards: Wildcards) -> list[str]:
        """The rewards of both, reward by reward."""
        rewards = Evaluations(self.inputs).rewards_of(str(self.settings.fitness.evaluation))
        return [
            at(paths.REWARDS, policy=policy, reward=reward)
            for reward in rewards
            for policy in self.policies(wildcards)
        ]

    def kl(self, wildcards: Wildcards) -> list[str]:
        """How far the candidate is from its start, where the evaluation measures it."""
        settings = self.inputs.config.evaluations[str(self.settings.fitness.evaluation)]
        candidate = self.policies(wildcards)[1]
        return [at(paths.KL, policy=candidate)] if settings.measures_kl else []

    def length_control(self, wildcards: Wildcards) -> list[str]:
        """The files of length-controlled win rates."""
        return Evaluations(self.inputs).length_control_of(str(self.settings.fitness.evaluation))

    def labels(self, wildcards: Wildcards) -> list[str]:
        """The gate's labelled pairs, where the judge or the reward is measured on them."""
        return Evaluations(self.inputs).labels_of(str(self.settings.fitness.evaluation))

    def labelled(self, wildcards: Wildcards) -> list[str]:
        """What the judge or the reward says of the gate's labelled pairs."""
        return Evaluations(self.inputs).labelled_of(str(self.settings.fitness.evaluation))

    def evaluation_spec(self, wildcards: Wildcards) -> str:
        """What is compared, and how."""
        evaluation = str(self.settings.fitness.evaluation)
        specs = EvaluationSpecs(self.inputs)
        return specs.comparison(evaluation, self.speakers(wildcards.candidate))

    def figures(self, wildcards: Wildcards) -> list[str]:
        """The figures of the evaluation that is the fitness; none for held-out pairs."""
        found = wildcards.candidate in self.evaluated
        return [at(files.COMPARED, candidate=wildcards.candidate)] if found else []

    # What decides stages.

    @property
    def training(self) -> PairTrainingSettings:
        """The training of the arm, without what its own loss alone reads."""
        settings = self.inputs.config.arm_training(self.settings.arm)
        reset = {name: off for name, off in LOSS_OPTIONS.items() if name not in TAKES}
        return settings.model_copy(update={"loss": "sigmoid", **reset})

    def baseline_spec(self, wildcards: Wildcards) -> str:
        """The baseline's name."""
        return spec(name=wildcards.candidate)

    def proposal_spec(self, wildcards: Wildcards) -> str:
        """How losses are proposed, and what decides the model's answers."""
        model = self.settings.proposer.model
        return spec(
            proposing=self.settings.proposing(),
            generation=int(wildcards.candidate.removeprefix("generation")),
            answering=self.inputs.config.source_of(model).answering if model else None,
            beta=self.training.beta,
            seed=self.inputs.config.seed,
        )

    def check_spec(self, wildcards: Wildcards) -> str:
        """The beta, and the limits of the process."""
        return spec(
            beta=self.training.beta,
            seconds=self.settings.check_seconds,
            memory=self.settings.check_memory,
        )

    def training_spec(self, wildcards: Wildcards) -> str:
        """The training of the arm, and for the model card how its pairs were made."""
        config, arm = self.inputs.config, self.settings.arm
        start, training = config.start_of(arm), self.training
        names = {"arm": wildcards.candidate, "round": 1, "reward": config.arms[arm].labelled_by}
        return spec(
            training=training,
            seed=config.arm_seed(arm),
            names=names,
            behind=card_settings(config.upstream_settings(arm)),
            **config.source_of(start).below(training.lora),
            **config.trained_turns(start),
        )

    def fitness_spec(self, wildcards: Wildcards) -> str:
        """What the fitness is, and who the candidate is in an evaluation."""
        return spec(fitness=self.settings.fitness, speaker=speaker_of(wildcards.candidate))

    def archive_spec(self, wildcards: Wildcards) -> str:
        """The candidates of the generation."""
        number = int(wildcards.generation)
        return spec(generation=number, candidates=self.of_generation(number))

    def report_spec(self, wildcards: Wildcards) -> str:
        """What the report says of the discovery; nothing without one."""
        found = self.inputs.config.discovery
        return spec(
            arm=found and found.arm,
            fitness=found and found.fitness,
            candidates=self.candidates,
            beta=self.training.beta if found else 0.0,
        )

    def proposer(self, wildcards: Wildcards) -> Untracked:
        """The untracked settings of a job that proposes."""
        config, model = self.inputs.config, self.settings.proposer.model
        return untracked(config, [config.source_of(model)] if model else [])
