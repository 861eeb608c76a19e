"""The configuration: one pydantic model per section, read and refused in the user's terms."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from wim.errors import UserError
from wim.settings.arms import Arm
from wim.settings.checks.models import model_problems
from wim.settings.checks.names import unknown_names
from wim.settings.checks.no_effect import contrastive_problems
from wim.settings.checks.online import online_problems
from wim.settings.checks.trained import trained_problems
from wim.settings.comparisons import ComparisonSettings, comparison_problems
from wim.settings.dialogues import DialogueSettings
from wim.settings.embeddings import EmbeddingSettings
from wim.settings.gate import RETEST, GateSettings
from wim.settings.grid import in_terms_of_grids, with_arms_of_grids
from wim.settings.judging import JudgeSettings, unfit_for_conversations
from wim.settings.models import DEMO_MODELS as DEMO_MODELS
from wim.settings.models import ModelSource
from wim.settings.optimization import Parallel
from wim.settings.pairs import PairSettings
from wim.settings.policies import PolicySettings, taken_names
from wim.settings.prompts import PromptSettings
from wim.settings.reading import overlaid, validated, with_defaults
from wim.settings.reward_models import RewardModelSettings
from wim.settings.rewards import RewardSettings, unfit_judges, unfit_panels
from wim.settings.rounds import RoundOverlay, RoundSettings, round_problems, with_counts_of_rounds
from wim.settings.section import Name, Section
from wim.settings.sft import SftSettings
from wim.settings.training import TrainingSettings

CHECKPOINT = re.compile(r".+-round\d+")


class Config(Section):
    """Everything that a run can be told."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of sampling, of random tie-breaking and of training. Unit: none."""

    store: Annotated[str, Field(min_length=1)] = "store"
    """Folder of rows computed once and for all; runs and users may share one. Unit: path."""

    local_scratch: Annotated[str, Field(min_length=1)] | None = None
    """Folder on a node's own disk, such as $SLURM_TMPDIR, where a job copies a model before opening
    it; ~ and environment variables are the job's. None opens it where it lies. Unit: path."""

    tracking: list[Literal["comet", "wandb"]] = []
    """Trackers that the metrics of training are written for, offline, besides JSON lines and
    TensorBoard; `pip install 'wim[comet]'` or `'wim[wandb]'` brings them. Unit: names."""

    parallel: Parallel = "ddp"
    """How several GPUs of one job train: ddp, each holds the whole model; fsdp, each holds a share of
    its weights, gradients and optimizer states. Unit: none."""

    models: dict[Name, ModelSource] = DEMO_MODELS
    """Language models and encoders by name; smollm2 and minilm are always known. Unit: none."""

    prompts: PromptSettings = PromptSettings()
    """The prompts that the run begins with. Unit: none."""

    dialogues: DialogueSettings = DialogueSettings()
    """The candidates that the judges will see. Unit: none."""

    policies: dict[Name, PolicySettings] = {}
    """Further speakers by a name of your choice: teachers, whose answers to the same prompts are
    results/dialogues/<name>/. Unit: none."""

    judges: dict[Name, JudgeSettings] = {"smollm2": JudgeSettings(model="smollm2")}
    """The judges, by a name of your choice. Unit: none."""

    embeddings: EmbeddingSettings = EmbeddingSettings()
    """How responses and critiques become vectors. Unit: none."""

    rewards: dict[Name, RewardSettings] = {
        "wim": RewardSettings(judge="smollm2", zeta=1.0),
        "numeric": RewardSettings(judge="smollm2", zeta=0.0),
        "mixed": RewardSettings(judge="smollm2", zeta=0.4),
    }
    """The rewards, by a name of your choice. Unit: none."""

    comparisons: dict[Name, ComparisonSettings] = {}
    """What judges of pairs compare, by a name of your choice. Unit: none."""

    pairs: PairSettings = PairSettings()
    """Which candidates are set against each other, in arms that do not say otherwise. Unit: none."""

    training: TrainingSettings = TrainingSettings()
    """The DPO run of every arm that does not say otherwise. Unit: none."""

    rounds: RoundSettings = RoundSettings()
    """How often an arm goes from dialogues to a checkpoint, if it does not say otherwise. Unit: none."""

    sft: dict[Name, SftSettings] = {}
    """Supervised fine-tunings by a name of your choice, under which each is a model: arms may start
    from it, the actor and policies may be it; docs/guide/training.md. Unit: none."""

    reward_models: dict[Name, RewardModelSettings] = {}
    """Reward models by a name of your choice, under which judges of the method reward_model know
    them. Unit: none."""

    gate: GateSettings = GateSettings()
    """What measures the rewards before they label anything. Unit: none."""

    arms: dict[Name, Arm] = {"wim": Arm(reward="wim")}
    """The arms, by a name of your choice; each ends in a checkpoint. Unit: none."""

    grid: dict[Name, dict[str, Any]] = {}
    """Further arms, by the name of each grid: keys of an arm, nested ones with dots, each with a
    value or a list of values, of which every combination becomes an arm; docs/guide/rounds.md.
    Unit: none."""

    @field_validator("models", mode="before")
    @classmethod
    def _with_embedded(cls, models: Any) -> Any:
        return {**DEMO_MODELS, **models} if isinstance(models, Mapping) else models

    @model_validator(mode="after")
    def _names_exist(self) -> "Config":
        """Every name that a section uses is defined, and an arm's own settings are valid."""
        problems = unfit_judges(self.rewards, self.judges) + unfit_panels(self.rewards)
        problems += unknown_names(self)
        if any(arm.reward for arm in self.arms.values()) and self.dialogues.candidates < 2:
            problems.append(
                "dialogues.candidates: found 1, of which the arms can make no pairs; write at least "
                "2, or `arms: {}` to end with the rewards."
            )
        if self.dialogues.judged == "conversations":
            problems += unfit_for_conversations(self.judges)
        actor, encoder = self.dialogues.actor, self.embeddings.encoder
        problems += [
            f"arms.{name}: found a name that ends as those of checkpoints do, in -round and a "
            "number; write another one."
            for name in self.arms
            if CHECKPOINT.fullmatch(name)
        ]
        problems += model_problems(self.models, actor, encoder, self.arms)
        problems += taken_names(self.policies)
        starts = {name: self.start_of(name) for name in self.arms}
        problems += trained_problems(self.models, self.sft, self.reward_models, starts, actor)
        overlays: list[tuple[Callable[[str], Section], Iterable[str]]] = [
            (self.policy_dialogues, self.policies),
            (self.arm_pairs, self.arms),
            (self.arm_training, self.arms),
            (self.arm_rounds, self.arms),
        ]
        for settings_of, names in overlays:
            for name in names:
                try:
                    settings_of(name)
                except UserError as error:
                    problems.append(str(error))
        if not problems:
            arms = {name: (arm, self.arm_pairs(name)) for name, arm in self.arms.items()}
            problems = comparison_problems(self.comparisons, self.judges, self.rewards, arms)
            problems += contrastive_problems(self)
        if not problems:
            for name, arm in self.arms.items():
                if arm.method == "online_dpo":
                    if self.parallel == "fsdp":
                        problems.append(
                            f"arms.{name}.method: online_dpo draws from the whole model, which "
                            "parallel: fsdp shares out; write parallel: ddp."
                        )
                    label = self.rewards.get(arm.reward or "")
                    training = self.arm_training(name)
                    problems += online_problems(name, training, label, self.dialogues)
        problems = problems or list(self._problems_of_rounds())
        if problems:
            raise UserError("\n".join(problems))
        return self

    def _problems_of_rounds(self) -> Iterator[str]:
        for name, arm in self.arms.items():
            judges = [self.judges[judge] for judge in self.judges_behind(arm.reward or "")]
            fraction = self.prompts.eval_fraction
            yield from round_problems(f"arms.{name}", arm, self.arm_rounds(name), judges, fraction)
            for number in arm.by_round:
                try:
                    self.arm_pairs(name, number)
                    self.arm_training(name, number)
                except UserError as error:
                    yield str(error)

    def policy_dialogues(self, policy: str) -> DialogueSettings:
        """The dialogues of whoever speaks: the actor, its checkpoints, or a named policy."""
        if policy not in self.policies:
            return self.dialogues
        return overlaid(self.dialogues, self.policies[policy].overlay, f"policies.{policy}")

    def judges_conversations(self, policy: str) -> bool:
        """Whether a policy's candidates are judged by the whole conversations that came of them."""
        whole = self.policy_dialogues(policy).judged == "conversations"
        # The gate's pairs are single responses.
        return whole and policy not in ("labelled", RETEST)

    def start_of(self, arm: str) -> str:
        """The model that an arm's training starts from, in the first round."""
        return self.arms[arm].start or self.dialogues.actor

    def source_of(self, model: str) -> ModelSource:
        """How a model is run or asked: a fine-tuned one or a reward model as what it was."""
        return self.models[self.origin_of(model)]

    def origin_of(self, model: str) -> str:
        """The model under `models` that a trained one comes from; any other is itself."""
        trained = self.sft.get(model) or self.reward_models.get(model)
        return model if trained is None else self.origin_of(trained.model or self.dialogues.actor)

    def arm_seed(self, arm: str) -> int:
        """The seed of an arm's training."""
        own = self.arms[arm].seed
        return self.seed if own is None else own

    def judges_behind(self, reward: str) -> list[str]:
        """The judges whose ratings a reward is made of, each once."""
        if reward not in self.rewards:
            return []
        settings = self.rewards[reward]
        judges = [self.rewards[member].judge for member in settings.of] or [settings.judge]
        return list(dict.fromkeys(judge for judge in judges if judge is not None))

    def behind_pairs(self, arm: str, number: int = 1) -> dict[str, Section]:
        """The sections that decide the pairs of an arm's round, beside the models and templates."""
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
        judges = self.judges_behind(name)
        if not reward.of:
            return made | {"judge": self.judges[judges[0]]}
        made |= {f"reward {member}": self.rewards[member] for member in reward.of}
        return made | {f"judge {judge}": self.judges[judge] for judge in judges}

    def arm_rounds(self, arm: str) -> RoundSettings:
        """The rounds of an arm: the common ones, with the arm's own over them."""
        return overlaid(self.rounds, self.arms[arm].rounds, f"arms.{arm}.rounds")

    def arm_pairs(self, arm: str, number: int = 1) -> PairSettings:
        """The pair settings of an arm's round: the common, then the arm's, then the round's own."""
        of_arm = overlaid(self.pairs, self.arms[arm].pairs, f"arms.{arm}.pairs")
        own = self.arms[arm].by_round.get(number, RoundOverlay()).pairs
        return overlaid(of_arm, own, f"arms.{arm}.by_round.{number}.pairs")

    def arm_training(self, arm: str, number: int = 1) -> TrainingSettings:
        """The training of an arm's round: the common, then the arm's, then the round's own."""
        of_arm = overlaid(self.training, self.arms[arm].training, f"arms.{arm}.training")
        own = self.arms[arm].by_round.get(number, RoundOverlay()).training
        return overlaid(of_arm, own, f"arms.{arm}.by_round.{number}.training")

    def round_of(self, policy: str) -> tuple[str, int] | None:
        """The arm and round in which a policy's dialogues are learnt from.

        None of those of all arms' first rounds, and of policies of other models.
        """
        arm, _, number = policy.rpartition("-round")
        return (arm, int(number) + 1) if arm in self.arms and number.isdigit() else None

    def judge_model(self, judge: str, policy: str) -> ModelSource:
        """How the model of a judge of a policy's dialogues is run or asked: its own, or that which a
        checkpoint comes from that judges itself."""
        turn = self.round_of(policy)
        own = turn and self.judges_itself(policy)
        return self.source_of(self.start_of(turn[0]) if turn and own else self.judges[judge].model)

    def judges_itself(self, policy: str) -> bool:
        """Whether a checkpoint is the model of the judge of its own dialogues."""
        turn = self.round_of(policy)
        return turn is not None and self.arm_rounds(turn[0]).judge == "self"


def load_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """The configuration from its mapping; what is left out has its default.

    Raises UserError with one line per problem: the source (the file's name), the key, what
    was found, what to write.
    """
    try:
        written = with_arms_of_grids(values, Config().model_dump(mode="json")["rewards"])
        try:
            written = with_counts_of_rounds(written)
            return validated(Config, with_defaults(Config, written), "")
        except UserError as error:
            raise UserError(in_terms_of_grids(str(error), values)) from None
    except UserError as error:
        raise UserError(f"{source}: " + str(error).replace("\n", f"\n{source}: ")) from None
