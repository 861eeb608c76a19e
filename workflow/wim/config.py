"""The configuration: one pydantic model per section, read and refused in the user's terms."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from wim.errors import UserError
from wim.settings.arms import Arm
from wim.settings.comparisons import ComparisonSettings, comparison_problems
from wim.settings.dialogues import DialogueSettings
from wim.settings.embeddings import EmbeddingSettings
from wim.settings.gate import GateSettings
from wim.settings.grid import in_terms_of_grids, with_arms_of_grids
from wim.settings.idle import contrastive_problems
from wim.settings.judging import JudgeSettings
from wim.settings.model_checks import model_problems
from wim.settings.models import DEMO_MODELS as DEMO_MODELS
from wim.settings.models import ModelSource
from wim.settings.online import online_problems
from wim.settings.pairs import PairSettings
from wim.settings.policies import PolicySettings, taken_names
from wim.settings.prompts import PromptSettings
from wim.settings.reading import overlaid, validated, with_defaults
from wim.settings.reward_models import RewardModelSettings
from wim.settings.rewards import RewardSettings, unfit_judges, unfit_panels
from wim.settings.section import Name, Section
from wim.settings.sft import SftSettings
from wim.settings.trained import trained_problems
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

    sft: dict[Name, SftSettings] = {}
    """Supervised fine-tunings by a name of your choice, under which each is a model: arms may start
    from it, the actor and policies may be it; docs/training.md. Unit: none."""

    reward_models: dict[Name, RewardModelSettings] = {}
    """Reward models by a name of your choice, under which judges of the method reward_model know
    them. Unit: none."""

    gate: GateSettings = GateSettings()
    """What measures the rewards before they label anything. Unit: none."""

    arms: dict[Name, Arm] = {"wim": Arm(reward="wim")}
    """The arms, by a name of your choice; each ends in a checkpoint. Unit: none."""

    grid: dict[Name, dict[str, Any]] = {}
    """Further arms, by the name of each grid: keys of an arm, nested ones with dots, each with a
    value or a list of values, of which every combination becomes an arm; docs/rounds.md.
    Unit: none."""

    @field_validator("models", mode="before")
    @classmethod
    def _with_embedded(cls, models: Any) -> Any:
        return {**DEMO_MODELS, **models} if isinstance(models, Mapping) else models

    @model_validator(mode="after")
    def _names_exist(self) -> "Config":
        """Every name that a section uses is defined, and an arm's own settings are valid."""
        uses: list[tuple[str, str, str, Mapping[str, Section]]] = []
        writers = {**self.models, **self.sft}
        uses += [("dialogues.actor", self.dialogues.actor, "models", writers)]
        if self.dialogues.partner:
            uses += [("dialogues.partner", self.dialogues.partner, "models", writers)]
        if self.prompts.topics:
            proposers = self.prompts.topics.models
            uses += [("prompts.topics.models", name, "models", self.models) for name in proposers]
        uses += [("embeddings.encoder", self.embeddings.encoder, "models", self.models)]
        for name, policy in self.policies.items():
            uses.append((f"policies.{name}.model", policy.model, "models", writers))
        for name, judge in self.judges.items():
            of_method = self.reward_models if judge.method == "reward_model" else self.sft
            known = {**self.models, **of_method}
            uses.append((f"judges.{name}.model", judge.model, "models", known))
        for name, reward in self.rewards.items():
            if reward.judge:
                uses.append((f"rewards.{name}.judge", reward.judge, "judges", self.judges))
            uses += [(f"rewards.{name}.of", each, "rewards", self.rewards) for each in reward.of]
        speakers: dict[str, Section] = {"base": self.dialogues, **self.policies}
        for name, comparison in self.comparisons.items():
            uses.append((f"comparisons.{name}.judge", comparison.judge, "judges", self.judges))
            uses += [
                (f"comparisons.{name}.between", each, "policies", speakers)
                for each in comparison.between
            ]
        for name, arm in self.arms.items():
            if arm.reward:
                uses.append((f"arms.{name}.reward", arm.reward, "rewards", self.rewards))
            if arm.comparison:
                place = f"arms.{name}.comparison"
                uses.append((place, arm.comparison, "comparisons", self.comparisons))
            if arm.start:
                uses.append((f"arms.{name}.start", arm.start, "models", writers))
        speakers = {"base": self.dialogues, "references": self.dialogues, **self.policies}
        for name, sft in self.sft.items():
            uses.append((f"sft.{name}.completions", sft.completions, "policies", speakers))
            if sft.model:
                uses.append((f"sft.{name}.model", sft.model, "models", self.models))
        for name, reward_model in self.reward_models.items():
            uses.append((f"reward_models.{name}.arm", reward_model.arm, "arms", self.arms))
            if reward_model.model:
                uses.append((f"reward_models.{name}.model", reward_model.model, "models", writers))
        problems = unfit_judges(self.rewards, self.judges) + unfit_panels(self.rewards)
        problems += [
            _unknown_name(key, name, kind, defined, key.split(".")[0] in self.model_fields_set)
            for key, name, kind, defined in uses
            if name not in defined
        ]
        if any(arm.reward for arm in self.arms.values()) and self.dialogues.candidates < 2:
            problems.append(
                "dialogues.candidates: found 1, of which the arms can make no pairs; write at least "
                "2, or `arms: {}` to end with the rewards."
            )
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
                    label = self.rewards.get(arm.reward or "")
                    training = self.arm_training(name)
                    problems += online_problems(name, training, label, self.dialogues)
        if problems:
            raise UserError("\n".join(problems))
        return self

    def policy_dialogues(self, policy: str) -> DialogueSettings:
        """The dialogues of whoever speaks: the actor, its checkpoints, or a named policy."""
        if policy not in self.policies:
            return self.dialogues
        return overlaid(self.dialogues, self.policies[policy].overlay, f"policies.{policy}")

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
        settings = self.rewards[reward]
        judges = [self.rewards[member].judge for member in settings.of] or [settings.judge]
        return list(dict.fromkeys(judge for judge in judges if judge is not None))

    def behind_pairs(self, arm: str) -> dict[str, Section]:
        """The sections that decide an arm's pairs, beside the models and templates."""
        made: dict[str, Section] = {"dialogues": self.dialogues, "pairs": self.arm_pairs(arm)}
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

    def arm_pairs(self, arm: str) -> PairSettings:
        """The pair settings of an arm: the common ones, with the arm's own over them."""
        return overlaid(self.pairs, self.arms[arm].pairs, f"arms.{arm}.pairs")

    def arm_training(self, arm: str) -> TrainingSettings:
        """The training settings of an arm: the common ones, with the arm's own over them."""
        return overlaid(self.training, self.arms[arm].training, f"arms.{arm}.training")


def load_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """The configuration from its mapping; what is left out has its default.

    Raises UserError with one line per problem: the source (the file's name), the key, what
    was found, what to write.
    """
    try:
        written = with_arms_of_grids(values, Config().model_dump(mode="json")["rewards"])
        try:
            return validated(Config, with_defaults(Config, written), "")
        except UserError as error:
            raise UserError(in_terms_of_grids(str(error), values)) from None
    except UserError as error:
        raise UserError(f"{source}: " + str(error).replace("\n", f"\n{source}: ")) from None


def _unknown_name(
    key: str, name: str, kind: str, defined: Mapping[str, object], written: bool
) -> str:
    near = difflib.get_close_matches(name, defined, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"write one of: {', '.join(defined)}."
    if not written:
        hint = f"this is a default; write {key.split('.')[0]} of your own."
    return f"{key}: found '{name}', which is not defined under {kind}; {hint}"
