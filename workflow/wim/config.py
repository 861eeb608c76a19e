"""The configuration: one pydantic model per section, read and refused in the user's terms."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from wim.errors import UserError
from wim.settings.arms import Arm
from wim.settings.dialogues import DialogueSettings
from wim.settings.embeddings import EmbeddingSettings
from wim.settings.gate import GateSettings
from wim.settings.judging import JudgeSettings
from wim.settings.model_checks import model_problems
from wim.settings.models import DEMO_MODELS as DEMO_MODELS
from wim.settings.models import ModelSource
from wim.settings.pairs import PairSettings
from wim.settings.prompts import PromptSettings
from wim.settings.rewards import RewardSettings, unfit_judges
from wim.settings.section import Name, Section
from wim.settings.training import TrainingSettings

S = TypeVar("S", bound=Section)


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

    pairs: PairSettings = PairSettings()
    """Which candidates are set against each other, in arms that do not say otherwise. Unit: none."""

    training: TrainingSettings = TrainingSettings()
    """The DPO run of every arm that does not say otherwise. Unit: none."""

    gate: GateSettings = GateSettings()
    """What measures the rewards before they label anything. Unit: none."""

    arms: dict[Name, Arm] = {"wim": Arm(reward="wim")}
    """The arms, by a name of your choice; each ends in a checkpoint. Unit: none."""

    @field_validator("models", mode="before")
    @classmethod
    def _with_embedded(cls, models: Any) -> Any:
        return {**DEMO_MODELS, **models} if isinstance(models, Mapping) else models

    @model_validator(mode="after")
    def _names_exist(self) -> "Config":
        """Every name that a section uses is defined, and an arm's own settings are valid."""
        uses: list[tuple[str, str, str, Mapping[str, Section]]] = []
        uses += [("dialogues.actor", self.dialogues.actor, "models", self.models)]
        if self.dialogues.partner:
            uses += [("dialogues.partner", self.dialogues.partner, "models", self.models)]
        uses += [("embeddings.encoder", self.embeddings.encoder, "models", self.models)]
        for name, judge in self.judges.items():
            uses.append((f"judges.{name}.model", judge.model, "models", self.models))
        for name, reward in self.rewards.items():
            uses.append((f"rewards.{name}.judge", reward.judge, "judges", self.judges))
        for name, arm in self.arms.items():
            uses.append((f"arms.{name}.reward", arm.reward, "rewards", self.rewards))
        problems = unfit_judges(self.rewards, self.judges) + [
            _unknown_name(key, name, kind, defined, key.split(".")[0] in self.model_fields_set)
            for key, name, kind, defined in uses
            if name not in defined
        ]
        actor, encoder = self.dialogues.actor, self.embeddings.encoder
        problems += model_problems(self.models, actor, encoder, self.arms)
        for name in self.arms:
            for settings_of in (self.arm_pairs, self.arm_training):
                try:
                    settings_of(name)
                except UserError as error:
                    problems.append(str(error))
        if problems:
            raise UserError("\n".join(problems))
        return self

    def arm_pairs(self, arm: str) -> PairSettings:
        """The pair settings of an arm: the common ones, with the arm's own over them."""
        return _overlaid(self.pairs, self.arms[arm].pairs, f"arms.{arm}.pairs")

    def arm_training(self, arm: str) -> TrainingSettings:
        """The training settings of an arm: the common ones, with the arm's own over them."""
        return _overlaid(self.training, self.arms[arm].training, f"arms.{arm}.training")


def load_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """The configuration from its mapping; what is left out has its default.

    Raises UserError with one line per problem: the source (the file's name), the key, what
    was found, what to write.
    """
    try:
        return _validated(Config, _with_defaults(Config, values), "")
    except UserError as error:
        raise UserError(f"{source}: " + str(error).replace("\n", f"\n{source}: ")) from None


def section_of(annotation: Any) -> type[Section] | None:
    """The section that a key's type holds: itself, or null, or one under each name."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, Section):
            return each
    return None


def expected_value(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """What to write for a key of this type, in words: "an integer from 1 to 999"."""
    bounds = {
        name: value
        for each in metadata
        for name in ("ge", "gt", "le", "lt", "min_length", "pattern")
        if (value := getattr(each, name, None)) is not None
    }
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return ", or ".join(expected_value(each, metadata) for each in arguments)
    if origin is Annotated:
        return expected_value(arguments[0], arguments[1:])
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if origin is list:
        items = expected_value(arguments[0])
        return f"a list of {items}" + (", not empty" if bounds.get("min_length") else "")
    if annotation in (int, float):
        return _number(annotation is int, bounds)
    if "pattern" in bounds:
        return "a name of letters, digits, _ and -"
    if section_of(annotation):
        return "a mapping of names to sections" if origin is dict else "a section"
    return {str: "text", bool: "true or false", NoneType: "null"}.get(annotation, "keys and values")


def _number(whole: bool, bounds: Mapping[str, Any]) -> str:
    kind, low, high = "an integer" if whole else "a number", bounds.get("ge"), bounds.get("le")
    if whole and "lt" in bounds:
        high = bounds["lt"] - 1
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [f"{word} {bounds[name]}" for name, word in words.items() if name in bounds]
    return f"{kind}, {' and '.join(limits)}" if limits else kind


def _with_defaults(section: type[Section], values: Any) -> Any:
    """Fill a nested section up from its default there: a judge samples otherwise than an actor."""
    if not isinstance(values, Mapping):
        return values
    filled = dict(values)
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        below: Any = values.get(name)
        if inner is None or not isinstance(below, Mapping):
            continue
        if get_origin(field.annotation) is dict:
            filled[name] = {key: _with_defaults(inner, value) for key, value in below.items()}
        elif isinstance(field.default, Section):
            filled[name] = _merged(field.default.model_dump(), _with_defaults(inner, below))
    return filled


def _overlaid(common: S, own: Mapping[str, Any], key: str) -> S:
    return _validated(type(common), _merged(common.model_dump(), own), f"{key}.")


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(common)
    for key, value in own.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merged(below, value)
        merged[key] = value
    return merged


def _validated(section: type[S], values: Mapping[str, Any], prefix: str) -> S:
    try:
        return section.model_validate(values)
    except ValidationError as error:
        problems: dict[str, str] = {}
        for item in error.errors():
            key, problem = _problem(section, item, values)
            problems.setdefault(key, f"{prefix}{key}: {problem}".removeprefix(": "))
        raise UserError("\n".join(problems.values())) from None


def _problem(section: type[Section], item: ErrorDetails, values: Any) -> tuple[str, str]:
    """The key of one of pydantic's errors, and what was found there and what to write."""
    keys, holder, field = _place(section, item["loc"])
    key = ".".join(map(str, keys))
    if item["type"] in ("extra_forbidden", "invalid_key") and holder:
        return key, _unknown_key(str(keys[-1]), holder)
    if item["loc"][-1:] == ("[key]",):
        return key, f"found {keys[-1]!r}; write {expected_value(Name)}."
    if item["type"] == "value_error" and holder:
        return key, item["msg"].removeprefix("Value error, ") + "."
    if item["type"] == "value_error":
        return key, f"found {item['input']!r}; {item['msg'].removeprefix('Value error, ')}."
    write = expected_value(field.annotation, field.metadata) if field else ""
    if item["type"] == "missing":
        return key, f"missing; write {write}."
    found = values
    for part in keys:
        found = found[part]
    if holder:
        named = write.startswith("a mapping") and item["type"] == "dict_type"
        below = "names of your choice, below each" if named else "below it, indented,"
        write = f"{below} its keys ({', '.join(holder.model_fields)})"
    elif write.startswith(("text", "a name")) and not isinstance(
        found, str | list | Mapping | None
    ):
        write += "; put text in quotes"
    if found is None:
        return key, f"empty; write {write}, or leave the line out."
    return key, f"found {found!r}; write {write}."


def _place(
    section: type[Section], loc: Sequence[int | str]
) -> tuple[list[int | str], type[Section] | None, FieldInfo | None]:
    """The keys to a place, the section that holds or should stand there, and the last key's field.

    Behind the key of a plain value pydantic counts its items and names the types it tried;
    these are left out, and no section is returned.
    """
    keys: list[int | str] = []
    holder: type[Section] | None = section
    field: FieldInfo | None = None
    parts = iter(loc)
    for part in parts:
        if holder is None or part == "[key]":
            break
        keys.append(part)
        field = holder.model_fields.get(str(part))
        if field is None:
            break
        holder = section_of(field.annotation)
        if holder and get_origin(field.annotation) is dict:
            keys += [name for name in [next(parts, None)] if name is not None]
    return keys, holder, field


def _unknown_key(key: str, holder: type[Section]) -> str:
    known = list(holder.model_fields)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}."
    return f"unknown key; {hint}"


def _unknown_name(
    key: str, name: str, kind: str, defined: Mapping[str, object], written: bool
) -> str:
    near = difflib.get_close_matches(name, defined, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"write one of: {', '.join(defined)}."
    if not written:
        hint = f"this is a default; write {key.split('.')[0]} of your own."
    return f"{key}: found '{name}', which is not defined under {kind}; {hint}"
