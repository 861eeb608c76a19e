"""The configuration: one pydantic model per section, and what follows from them together."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from wim.settings.arms import Arm
from wim.settings.bandit import BanditSettings
from wim.settings.comparisons import ComparisonSettings
from wim.settings.critique_rewards import NamedReward
from wim.settings.dialogues import DialogueSettings
from wim.settings.discovery import DiscoverySettings
from wim.settings.embeddings import EmbeddingSettings
from wim.settings.evaluated import Evaluated, dialogues_of
from wim.settings.evaluations import EvaluationSettings
from wim.settings.exports import ExportSettings
from wim.settings.gate import LABELLED, LABELLED_PAIRS, RETEST, GateSettings
from wim.settings.label_judges import LabelJudge
from wim.settings.models import ModelSource
from wim.settings.named_models import NAMED_DEMO_MODELS, NamedModel
from wim.settings.optimization import Parallel
from wim.settings.own_loss import PairTrainingSettings
from wim.settings.page import PageSettings
from wim.settings.pairs import PairSettings
from wim.settings.policies import PolicySettings
from wim.settings.prices import Price
from wim.settings.prompts import PromptSettings
from wim.settings.reading import overlaid
from wim.settings.reward_models import RewardModelSettings
from wim.settings.rounds import RoundOverlay, RoundSettings
from wim.settings.section import Name, Section
from wim.settings.sft import SftSettings
from wim.settings.study import StudySettings


class Config(Section):
    """All settings of a run."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of sampling, of random tie-breaking and of training. Unit: none."""

    store: Annotated[str, Field(min_length=1)] = "store"
    """Folder of finished rows, which are never computed again; runs and users may share one.
    Unit: path."""

    local_scratch: Annotated[str, Field(min_length=1)] | None = None
    """Folder on a node's own disk, such as $SLURM_TMPDIR, to which a job copies a model before it
    opens it; ~ and environment variables are the job's. null opens it where it is. Unit: path."""

    tracking: list[Literal["comet", "wandb", "trackio"]] = []
    """Trackers for which the metrics of training and the figures of evaluations are written, offline,
    besides JSON lines and TensorBoard; `pip install 'wim[comet]'`, `'wim[wandb]'` or
    `'wim[trackio]'` brings them. Unit: names."""

    parallel: Parallel = "ddp"
    """How several GPUs of one job train. ddp: each holds the whole model; fsdp: each holds a share
    of its weights, gradients and optimizer states. Unit: none."""

    models: dict[Name, NamedModel] = NAMED_DEMO_MODELS
    """Language models and encoders by name; smollm2 and minilm are always known. Unit: none."""

    prices: dict[Name, Price] = {}
    """What tokens of models behind an API cost, by the model's name; `wim plan` and `wim costs` then
    say money beside tokens. Unit: none."""

    prompts: PromptSettings = PromptSettings()
    """The prompts that the run starts from. Unit: none."""

    dialogues: DialogueSettings = DialogueSettings()
    """The candidates that the judges rate. Unit: none."""

    policies: dict[Name, PolicySettings] = {}
    """Further models that answer the same prompts, such as teachers, by a name of your choice;
    their answers are in results/dialogues/<name>/. Unit: none."""

    judges: dict[Name, LabelJudge] = {"smollm2": LabelJudge(model="smollm2")}
    """The judges, by a name of your choice. Unit: none."""

    embeddings: EmbeddingSettings = EmbeddingSettings()
    """How responses and critiques become vectors. Unit: none."""

    rewards: dict[Name, NamedReward] = {
        "wim": NamedReward(judge="smollm2", zeta=1.0),
        "numeric": NamedReward(judge="smollm2", zeta=0.0),
        "mixed": NamedReward(judge="smollm2", zeta=0.4),
    }
    """The rewards, by a name of your choice. Unit: none."""

    comparisons: dict[Name, ComparisonSettings] = {}
    """What judges of pairs compare, by a name of your choice. Unit: none."""

    pairs: PairSettings = PairSettings()
    """Which candidates are paired, unless an arm overrides it. Unit: none."""

    training: PairTrainingSettings = PairTrainingSettings()
    """The DPO run, unless an arm overrides it. Unit: none."""

    rounds: RoundSettings = RoundSettings()
    """How many rounds, from dialogues to a checkpoint, unless an arm overrides it. Unit: none."""

    sft: dict[Name, SftSettings] = {}
    """Supervised fine-tunings by a name of your choice, which is also the model's name: arms may
    start from it, the actor and policies may be it; docs/guide/training.md. Unit: none."""

    reward_models: dict[Name, RewardModelSettings] = {}
    """Reward models by a name of your choice, by which judges of the method reward_model refer to
    them. Unit: none."""

    gate: GateSettings = GateSettings()
    """Measures the rewards on labelled pairs before anything is trained on them. Unit: none."""

    page: PageSettings = PageSettings()
    """The page on which pairs and candidates are read and labelled. Unit: none."""

    export: ExportSettings = ExportSettings()
    """What an exported data set says of itself. Unit: none."""

    study: StudySettings = StudySettings()
    """`snakemake reward_study`: all judges and rewards side by side, which to train on, and whether
    any is worth it. Unit: none."""

    arms: dict[Name, Arm] = {"wim": Arm(reward="wim")}
    """The arms, by a name of your choice; each ends in a checkpoint. Unit: none."""

    grid: dict[Name, dict[str, Any]] = {}
    """Further arms, by the name of each grid: keys of an arm, nested ones with dots, each with a
    value or a list of values. Every combination becomes an arm; docs/guide/rounds.md.
    Unit: none."""

    evaluations: dict[Name, EvaluationSettings] = {}
    """Comparisons of trained models and others, by a name of your choice; `snakemake evaluation`
    runs them all. A configuration that writes evaluations and nothing of training or rewards trains
    nothing. Unit: none."""

    bandit: BanditSettings = BanditSettings()
    """An experiment of seconds, run by `snakemake bandit` alone; docs/guide/experiments.md.
    Unit: none."""

    discovery: DiscoverySettings | None = None
    """Losses that a model proposes and this workflow tries; run by `snakemake discovery` alone.
    Unit: none."""

    @field_validator("models", mode="before")
    @classmethod
    def _with_embedded(cls, models: Any) -> Any:
        return {**NAMED_DEMO_MODELS, **models} if isinstance(models, Mapping) else models

    def policy_dialogues(self, policy: str) -> DialogueSettings:
        """The dialogue settings of the actor and its checkpoints, of a named policy, or of a speaker
        in an evaluation."""
        if evaluated := Evaluated.of(policy):
            found = dialogues_of(self, evaluated)
            if self.discovery and policy in self.discovery.policies:
                return found.model_copy(update={"actor": self.start_of(self.discovery.arm)})
            return found
        if policy not in self.policies:
            return self.dialogues
        return overlaid(self.dialogues, self.policies[policy].overlay, f"policies.{policy}")

    def judges_conversations(self, policy: str) -> bool:
        """Whether a policy's candidates are judged by the whole conversations that follow them."""
        whole = self.policy_dialogues(policy).judged == "conversations"
        # The gate's pairs are single responses.
        return whole and policy not in (LABELLED, LABELLED_PAIRS, RETEST)

    def judges_reasoning(self, policy: str) -> bool:
        """Whether judges read what a policy's model thought before its answers."""
        return self.dialogues.reasoning == "judged" and policy not in (
            LABELLED,
            LABELLED_PAIRS,
            RETEST,
        )

    def trained_turns(self, model: str | None = None) -> dict[str, Any]:
        """What decides the tokens of turns in a training, where that is no default.

        Args:
            model: The model that is trained; None where it does not reason, as a reward model.
        """
        thinking = None if model is None else self.source_of(model).thinking
        found: dict[str, Any] = {} if thinking is None else {"thinking": thinking}
        reasoning = self.dialogues.reasoning
        return found if reasoning == "trained" else found | {"reasoning": reasoning}

    def start_of(self, arm: str) -> str:
        """The model that an arm's training starts from, in the first round."""
        return self.arms[arm].start or self.dialogues.actor

    def source_of(self, model: str) -> ModelSource:
        """How a model is run or queried; a trained model is run as the one it was trained from."""
        return self.models[self.origin_of(model)]

    def origin_of(self, model: str) -> str:
        """The model under `models` that a trained one was trained from; any other is itself."""
        trained = self.sft.get(model) or self.reward_models.get(model)
        return model if trained is None else self.origin_of(trained.model or self.dialogues.actor)

    def arm_seed(self, arm: str) -> int:
        """The seed of an arm's training."""
        own = self.arms[arm].seed
        return self.seed if own is None else own

    def judges_of(self, reward: str) -> list[str]:
        """The judges whose ratings a reward is computed from, each once; none if it reads no judge."""
        if reward not in self.rewards:
            return []
        settings = self.rewards[reward]
        judges = [self.rewards[member].judge for member in settings.of] or [settings.judge]
        return list(dict.fromkeys(judge for judge in judges if judge is not None))

    def sampled(self, reward: str) -> int:
        """How often the judge of a reward judges a candidate; 1 for a reward that reads no judge."""
        judge = self.rewards[reward].judge
        return 1 if judge is None else self.judges[judge].samples

    @property
    def consulted_judges(self) -> list[str]:
        """The judges that rate candidates: all that can, or none where no reward reads a judge."""
        if not any(map(self.judges_of, self.rewards)):
            return []
        return [name for name, judge in self.judges.items() if judge.rates]

    def upstream_settings(self, arm: str, number: int = 1) -> dict[str, Section]:
        """The sections that decide the pairs of an arm's round, besides the models and templates."""
        pairs = self.arm_pairs(arm, number)
        made: dict[str, Section] = {"dialogues": self.dialogues, "pairs": pairs}
        if number > 1:
            made["rounds"] = self.arm_rounds(arm).model_copy(update={"count": 1, "stop": None})
        if name := self.arms[arm].comparison:
            made["comparison"] = comparison = self.comparisons[name]
            made["judge"] = self.judges[comparison.judge]
            of = [policy for policy in comparison.between if policy in self.policies]
            return made | {f"policy {policy}": self.policies[policy] for policy in of}
        name = self.arms[arm].labelled_by
        made["reward"] = reward = self.rewards[name]
        if not reward.of:
            return made | ({"judge": self.judges[reward.judge]} if reward.judge else {})
        made |= {f"reward {member}": self.rewards[member] for member in reward.of}
        return made | {f"judge {judge}": self.judges[judge] for judge in self.judges_of(name)}

    def arm_rounds(self, arm: str) -> RoundSettings:
        """The rounds of an arm: the common ones, overridden by the arm's own."""
        return overlaid(self.rounds, self.arms[arm].rounds, f"arms.{arm}.rounds")

    def arm_pairs(self, arm: str, number: int = 1) -> PairSettings:
        """The pair settings of an arm's round: the common, then the arm's, then the round's own."""
        of_arm = overlaid(self.pairs, self.arms[arm].pairs, f"arms.{arm}.pairs")
        own = self.arms[arm].by_round.get(number, RoundOverlay()).pairs
        return overlaid(of_arm, own, f"arms.{arm}.by_round.{number}.pairs")

    def arm_training(self, arm: str, number: int = 1) -> PairTrainingSettings:
        """The training of an arm's round: the common, then the arm's, then the round's own."""
        of_arm = overlaid(self.training, self.arms[arm].training, f"arms.{arm}.training")
        own = self.arms[arm].by_round.get(number, RoundOverlay()).training
        return overlaid(of_arm, own, f"arms.{arm}.by_round.{number}.training")

    def round_of(self, policy: str) -> tuple[str, int] | None:
        """The arm and round that trains on a policy's dialogues.

        None for `base`, which every arm's first round shares, and for named policies.
        """
        arm, _, number = policy.rpartition("-round")
        return (arm, int(number) + 1) if arm in self.arms and number.isdigit() else None

    def judge_model(self, judge: str, policy: str) -> ModelSource:
        """How the model that judges a policy's dialogues is run or queried.

        It is the judge's own model, or, for a checkpoint that judges itself, the model that the
        checkpoint was trained from.
        """
        learner = self.round_of(policy)
        if learner and self.judges_itself(policy):
            return self.source_of(self.start_of(learner[0]))
        return self.source_of(self.judges[judge].model)

    def judges_itself(self, policy: str) -> bool:
        """Whether a checkpoint judges its own dialogues."""
        learner = self.round_of(policy)
        return learner is not None and self.arm_rounds(learner[0]).judge == "self"
