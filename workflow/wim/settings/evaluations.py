"""Settings of an evaluation: who answers which prompts, and who compares the answers."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from wim.settings.prompts import PromptSettings
from wim.settings.reading import overlaid
from wim.settings.section import Name, Section

# Speakers that every run has: the actor before training, and the answers that prompts came with.
BASE, REFERENCES = "base", "references"


class EvaluationSettings(Section):
    """Answers of several speakers to the same prompts, compared with those of a reference."""

    kind: Literal["win_rate", "reward"] = "win_rate"
    """win_rate: every speaker against the reference; reward: the mean of rewards on each speaker's
    answers. Unit: none."""

    prompts: dict[str, Any] = {}
    """Prompts of its own, by keys of `prompts` (files, column, limit ...); empty takes those that are
    held out from training. Unit: none."""

    speakers: list[str] = []
    """Who answers: base (the actor before training), names under `policies`, `models`, `sft`, `arms`
    (the checkpoint of the last round) or `answers`, an arm's round as <arm>-round<n>, or references
    (the prompts' own answers). An empty list takes base and every arm. Unit: names."""

    answers: dict[Name, str] = {}
    """Files of answers that are speakers too, by a name of your choice: JSON or JSON lines with
    `instruction` and `output` on each row, as AlpacaEval writes them. Unit: paths, from the working
    directory."""

    reference: str = BASE
    """The speaker that the others are compared with. Unit: name."""

    judge: Name | None = None
    """win_rate: the judge of pairs, by its name under `judges`. Unit: name."""

    reward: Name | None = None
    """win_rate: in place of a judge, the reward whose larger value wins, by its name under
    `rewards`. Unit: name."""

    rewards: list[Name] = []
    """reward: the rewards whose means are compared; an empty list takes all. Unit: names."""

    sampling: dict[str, Any] = {}
    """Keys of `dialogues.sampling` that this evaluation overrides, for every speaker. Unit: none."""

    system: str | None = None
    """System message put before each prompt; null takes that of `dialogues`. Unit: text."""

    leaks: Literal["report", "drop", "refuse"] = "report"
    """What becomes of prompts that stand in what the speakers were trained on: exactly, by thirteen
    words in a row, or nearly. report: figures with and without them; drop: without them; refuse: an
    error that names their file. Unit: none."""

    instructions: str | None = None
    """win_rate: AlpacaEval's instructions in its order, by which `difficulties` are joined to prompts.
    Unit: path, from the working directory."""

    difficulties: str | None = None
    """win_rate: AlpacaEval's instruction_difficulty.csv, for the length-controlled win rate `noreg`;
    `minimal` needs no file (docs/guide/evaluation.md). Unit: path, from the working directory."""

    gamed: str | None = None
    """win_rate: AlpacaEval's df_gamed.csv, for the length-controlled win rate `v1`. Unit: path, from
    the working directory."""

    def own_prompts(self, name: str) -> PromptSettings | None:
        """The settings of its own prompts; None for held-out ones. name: the evaluation's.

        Raises UserError for keys that do not fit.
        """
        if not self.prompts:
            return None
        return overlaid(PromptSettings(), self.prompts, f"evaluations.{name}.prompts")

    @model_validator(mode="after")
    def _who_compares(self) -> "EvaluationSettings":
        if self.kind == "win_rate" and (self.judge is None) == (self.reward is None):
            found = "neither" if self.judge is None else "both"
            raise ValueError(
                f"found {found} of judge and reward, one of which says who wins; write "
                "judge: <name of a judge of pairs> or reward: <name>"
            )
        if self.kind == "reward" and (self.judge or self.reward):
            raise ValueError("the kind reward compares means; write rewards: [<name>, ...]")
        if (self.difficulties is None) != (self.instructions is None):
            raise ValueError(
                "difficulties are joined to prompts by instructions; write both of difficulties and "
                "instructions, or neither"
            )
        if self.gamed is not None and self.difficulties is None:
            raise ValueError("gamed needs difficulties and instructions as well; write all three")
        if self.kind == "win_rate" and self.rewards:
            raise ValueError("rewards belong to the kind reward; write reward: <name>")
        return self


# What a configuration writes that trains something, or labels what is trained on.
OF_TRAINING = (
    "arms",
    "grid",
    "rewards",
    "sft",
    "reward_models",
    "gate",
    "pairs",
    "training",
    "rounds",
)


def without_training(values: Any) -> Any:
    """A configuration as written, without the default arm and rewards where it only evaluates."""
    if not isinstance(values, Mapping) or not values.get("evaluations"):
        return values
    if any(key in values for key in OF_TRAINING):
        return values
    return {**values, "arms": {}, "rewards": {}}


# What config/config.yaml evaluates; the default is to evaluate nothing.
DEMO_EVALUATIONS = {"held_out": EvaluationSettings(reward="wim")}
