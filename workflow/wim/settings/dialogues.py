"""Settings of the dialogues: who answers the prompts, how often and how."""

from typing import Any, Literal

from pydantic import Field, model_validator

from wim.settings.sampling import Sampling
from wim.settings.section import Name, Section

SystemAs = Literal["system", "user"]
Reasoning = Literal["trained", "judged", "left_out"]
# What decides no dialogue: names of files, and what is done with what was said.
OUTSIDE = {"actor", "partner", "templates", "reasoning"}
# What only a dialogue of two speakers uses.
IN_DIALOGUE = {"partner", "partner_sampling", "exchanges", "learn", "judged", "templates"}


class DialogueSettings(Section):
    """The candidates that the judges rate."""

    mode: Literal["completions", "expert_chat"] = "completions"
    """completions: the actor answers each prompt, so that each dialogue has one turn; expert_chat:
    actor and partner take turns to talk about each prompt as a topic. Unit: none."""

    actor: Name = "smollm2"
    """The model that answers in the first round, by its name under `models`. Unit: name."""

    partner: Name | None = None
    """expert_chat: the other speaker's model, by its name under `models`; null takes the actor's.
    Unit: name."""

    exchanges: int = Field(default=2, ge=1, le=64)
    """expert_chat: turns of each speaker. Unit: turns."""

    learn: Literal["actor", "both"] = "actor"
    """expert_chat: whose turns are sampled several times, judged and learnt from. Unit: none."""

    judged: Literal["turns", "conversations"] = "turns"
    """expert_chat: what judges rate. turns: each turn of a learning speaker, whose samples share
    the conversation so far; conversations: several conversations on a topic, which differ from the
    actor's first turn on; that turn is rated, and learnt from, by the whole conversation that
    follows it. Unit: none."""

    templates: str = "config/templates/expert_chat"
    """expert_chat: folder with actor.jinja and partner.jinja, the speakers' system messages, and
    opening.jinja, which asks for the first turn. Unit: path, from the working directory."""

    candidates: int = Field(default=2, ge=1, le=64)
    """Completions sampled for each prompt; in expert_chat, for each turn of a learning speaker.
    Unit: completions."""

    system: str | None = None
    """System message put before each prompt that has none of its own; null leaves the prompts as
    they are. Unit: text."""

    reasoning: Reasoning = "trained"
    """What becomes of what a model thought before its answer. trained: judges and encoders read the
    answer alone, and training is on both, as they were generated; judged: judges, encoders and
    reward models read both, with a blank line between; left_out: training is on the answer alone,
    behind a prompt that says that there is no reasoning. Unit: none."""

    system_as: SystemAs = "system"
    """Where the system message stands, also that of a prompt or of a speaker. system: in a turn of
    its own; user: at the beginning of the first user turn, for models whose chat template refuses a
    system message (Gemma). Unit: none."""

    sampling: Sampling = Sampling()
    """How completions are sampled."""

    partner_sampling: Sampling | None = None
    """expert_chat: how the partner's turns are sampled; null samples them like the actor's."""

    def sampling_of(self, speaker: str) -> Sampling:
        """How the turns of `actor` or `partner` are sampled."""
        return (self.partner_sampling if speaker == "partner" else None) or self.sampling

    @property
    def system_message(self) -> dict[str, Any]:
        """The system message, and where it stands if it is no turn of its own."""
        place = {} if self.system_as == "system" else {"system_as": self.system_as}
        return {"system": self.system, **place}

    @property
    def template_paths(self) -> list[str]:
        """The template files of the mode."""
        if self.mode == "completions":
            return []
        return [f"{self.templates}/{name}.jinja" for name in ("actor", "partner", "opening")]

    @property
    def second(self) -> str | None:
        """The partner's model, in a mode that has one."""
        return (self.partner or self.actor) if self.mode == "expert_chat" else None

    @property
    def rows_per_prompt(self) -> int:
        """Rows of a prompt, if no dialogue ends early."""
        if self.mode == "completions":
            return self.candidates
        if self.judged == "conversations":
            return 2 * self.exchanges * self.candidates
        return self.exchanges * (self.candidates + (self.candidates if self.learn == "both" else 1))

    def identity(self) -> dict[str, Any]:
        """The settings that decide the dialogues, without the models and templates, as files."""
        unused = IN_DIALOGUE if self.mode == "completions" else {"system"}
        if self.partner_sampling is None:
            unused = {*unused, "partner_sampling"}
        if self.judged == "turns":
            unused = {*unused, "judged"}
        if self.system_as == "system":
            unused = {*unused, "system_as"}
        return self.model_dump(mode="json", exclude={*OUTSIDE, *unused})

    @model_validator(mode="after")
    def _fits_mode(self) -> "DialogueSettings":
        for name in sorted(IN_DIALOGUE if self.mode == "completions" else {"system"}):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"the mode {self.mode} ignores {name}; leave the line out, or write "
                    "mode: " + ("expert_chat" if self.mode == "completions" else "completions")
                )
        if self.judged == "conversations" and self.reasoning == "judged":
            raise ValueError(
                "what a speaker thought is no part of the conversation; write reasoning: trained "
                "or left_out, or judged: turns"
            )
        if self.judged == "conversations" and self.learn == "both":
            raise ValueError(
                "whole conversations share what was said up to one speaker's first turn; write "
                "learn: actor, or judged: turns"
            )
        return self
