"""Settings of an evaluation: who answers which prompts, and who compares the answers."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from wim.errors import UserError
from wim.settings.harness import OF_HARNESS, check_harness
from wim.settings.prompts import PromptSettings
from wim.settings.questions import (
    LONGEST,
    OF_PROMPTS,
    OF_QUESTIONS,
    WITH_REFERENCE,
)
from wim.settings.reading import overlaid
from wim.settings.section import Name, Section

# Speakers that every run has: the actor before training, and the answers that prompts came with.
BASE, REFERENCES = "base", "references"


class EvaluationSettings(Section):
    """Answers of several speakers to the same prompts, compared with those of a reference."""

    kind: Literal["win_rate", "reward", "frontier", "mt_bench", "harness"] = "win_rate"
    """win_rate: every speaker against the reference; reward: the mean of rewards on each speaker's
    answers; frontier: the same against the KL divergence that it cost, a curve for arms that differ
    in beta; mt_bench: answers to questions of several turns, graded or compared turn by turn;
    harness: tasks of EleutherAI's lm-evaluation-harness. Unit: none."""

    prompts: dict[str, Any] = {}
    """Prompts of its own, by keys of `prompts` (files, column, limit ...); empty takes those that are
    held out from training. mt_bench: files of questions in FastChat's format, JSON lines of
    {question_id, category, turns, reference}. Unit: none."""

    speakers: list[str] = []
    """Who answers: base (the actor before training), names under `policies`, `models`, `sft`, `arms`
    (the checkpoint of the last round) or `answers`, an arm's round as <arm>-round<n>, or references
    (the prompts' own answers). An empty list takes base and every arm. Unit: names."""

    answers: dict[Name, str] = {}
    """Files of answers that are speakers too, by a name of your choice: JSON or JSON lines with
    `instruction` and `output` on each row, as AlpacaEval writes them; of mt_bench FastChat's
    model_answer files. Unit: paths, from the working directory."""

    reference: str = BASE
    """The speaker that the others are compared with. Unit: name."""

    judge: Name | None = None
    """win_rate: the judge of pairs, by its name under `judges`; mt_bench: a judge of the method
    mt_bench. Unit: name."""

    mode: Literal["single", "pairwise"] = "single"
    """mt_bench: single: every turn of every speaker gets a grade from 1 to 10; pairwise: it is
    compared with the reference's, in both orders. Unit: none."""

    parse: Literal["strict", "as_published"] = "strict"
    """mt_bench: how grades and choices are read. strict: the answer ends with its only one, in double
    brackets, a grade from 1 to 10; as_published: the first found, whatever else is said, a grade also
    in single brackets and of any size, a choice of A before one of B. Unit: none."""

    temperatures: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """mt_bench: the temperature of answers by the category of the question; other categories have
    that of `sampling`. null takes the published ones: 0.7 for writing and roleplay, 0.1 for stem and
    humanities, 0 for extraction, math, coding and reasoning. Unit: none."""

    reference_answers: str | None = None
    """mt_bench: a model_answer file of FastChat's, such as reference_answer/gpt-4.jsonl, whose answers
    the judge is shown as references in place of those in the questions' file. Unit: path, from the
    working directory."""

    reference_categories: list[str] = WITH_REFERENCE
    """mt_bench: the categories whose answers are judged beside a reference answer, where there is one.
    Unit: names."""

    reward: Name | None = None
    """win_rate: in place of a judge, the reward whose larger value wins, by its name under
    `rewards`. Unit: name."""

    rewards: list[Name] = []
    """reward, frontier: the rewards whose means are compared; an empty list takes all. Unit: names."""

    sampling: dict[str, Any] = {}
    """Keys of `dialogues.sampling` that this evaluation overrides, for every speaker. Unit: none."""

    system: str | None = None
    """System message put before each prompt; null takes that of `dialogues`. Unit: text."""

    kl: bool = False
    """Whether it is measured how far each arm's checkpoint is from the model that it was trained from:
    the KL divergence on its own answers, beside what was gained by it; a frontier always does. Unit:
    none."""

    kl_limit: Annotated[float, Field(gt=0)] | None = None
    """frontier: the divergence of an answer up to which the area under the frontier is taken; null
    takes the largest of all speakers. Unit: nats."""

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

    tasks: list[Annotated[str, Field(min_length=1)]] = []
    """harness: the tasks, by their names there, or .yaml files of tasks of your own with their data
    beside them. Unit: names, or paths from the working directory."""

    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    """harness: solved examples before each question; null takes each task's own number. Unit:
    examples."""

    limit: Annotated[int, Field(ge=1)] | None = None
    """harness: the first questions of each task alone, for a trial; null takes all. Unit:
    questions."""

    chat_template: bool = False
    """harness: whether questions are put into the model's chat template, with examples as turns.
    Unit: none."""

    python: str = ".venv-harness/bin/python"
    """harness: the Python that has lm-eval, which `make harness-environment` installs; the
    environment variable WIM_HARNESS_PYTHON takes its place. Another one reruns nothing. Unit: path,
    from the working directory or the workflow's folder."""

    @property
    def of_rewards(self) -> bool:
        """Whether means of rewards are compared, and nobody wins."""
        return self.kind in ("reward", "frontier")

    @property
    def measures_kl(self) -> bool:
        """Whether it is measured how far each checkpoint is from its start."""
        return self.kl or self.kind == "frontier"

    @property
    def by_harness(self) -> bool:
        """Whether models are measured by the harness, and answer no prompts of this workflow."""
        return self.kind == "harness"

    def own_prompts(self, name: str) -> PromptSettings | None:
        """The settings of its own prompts; None for held-out ones. name: the evaluation's.

        Raises UserError for keys that do not fit.
        """
        key = f"evaluations.{name}.prompts"
        if self.kind == "mt_bench":
            if not self.prompts.get("files"):
                raise UserError(
                    f"{key}.files: mt_bench needs questions of several turns; write "
                    "prompts: {files: [question.jsonl]}."
                )
            if others := sorted(set(map(str, self.prompts)) - set(OF_PROMPTS)):
                raise UserError(
                    f"{key}: found {', '.join(others)}, and questions in FastChat's format have "
                    "columns of their own; leave it out."
                )
            return overlaid(PromptSettings(min_chars=1, max_chars=LONGEST), self.prompts, key)
        if not self.prompts:
            return None
        return overlaid(PromptSettings(), self.prompts, key)

    @model_validator(mode="after")
    def _who_compares(self) -> "EvaluationSettings":
        if self.kind == "win_rate" and (self.judge is None) == (self.reward is None):
            found = "neither" if self.judge is None else "both"
            raise ValueError(
                f"found {found} of judge and reward, one of which says who wins; write "
                "judge: <name of a judge of pairs> or reward: <name>"
            )
        if self.kind == "mt_bench":
            self._check_questions()
            return self
        for name in OF_QUESTIONS:
            if name in self.model_fields_set and getattr(self, name) != self._default(name):
                raise ValueError(f"{name} belongs to the kind mt_bench; leave the line out")
        if self.of_rewards and (self.judge or self.reward):
            raise ValueError(f"the kind {self.kind} compares means; write rewards: [<name>, ...]")
        if self.kind != "win_rate":
            self._check_no_length_control()
        if (self.difficulties is None) != (self.instructions is None):
            raise ValueError(
                "difficulties are joined to prompts by instructions; write both of difficulties and "
                "instructions, or neither"
            )
        if self.gamed is not None and self.difficulties is None:
            raise ValueError("gamed needs difficulties and instructions as well; write all three")
        if self.kind == "win_rate" and self.rewards:
            raise ValueError(
                "rewards belong to the kinds reward and frontier; write reward: <name>"
            )
        return self

    def _check_questions(self) -> None:
        if self.judge is None or self.reward is not None or self.rewards:
            raise ValueError(
                "the kind mt_bench has a judge and no reward; write judge: <name of a judge of the "
                "method mt_bench>"
            )
        self._check_no_length_control()

    def _check_no_length_control(self) -> None:
        if self.difficulties or self.instructions or self.gamed:
            raise ValueError(
                "difficulties, instructions and gamed belong to the kind win_rate; leave them out"
            )

    @model_validator(mode="after")
    def _keys_of_a_frontier(self) -> "EvaluationSettings":
        if self.kl_limit is not None and self.kind != "frontier":
            raise ValueError("kl_limit belongs to the kind frontier; leave the line out")
        return self

    @classmethod
    def _default(cls, name: str) -> Any:
        return cls.model_fields[name].default

    @model_validator(mode="after")
    def _each_speaker_once(self) -> "EvaluationSettings":
        repeated = sorted(name for name, count in Counter(self.speakers).items() if count > 1)
        if repeated:
            raise ValueError(f"speakers has {', '.join(repeated)} more than once; write it once")
        return self

    @model_validator(mode="after")
    def _keys_of_the_harness(self) -> "EvaluationSettings":
        # A default does not count: the embedded configuration writes them all.
        written = {
            name for name in type(self).model_fields if getattr(self, name) != self._default(name)
        }
        if self.by_harness:
            check_harness(self.tasks, written)
        for key in sorted(OF_HARNESS & written if not self.by_harness else ()):
            raise ValueError(f"{key} belongs to the kind harness; write kind: harness")
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
