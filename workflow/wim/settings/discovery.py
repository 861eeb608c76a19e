"""Settings of the discovery of losses: a model proposes, the workflow tries."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from wim.settings.sampling import Sampling
from wim.settings.section import Name, Section

BUILT_IN = Literal[
    "sigmoid", "cdpo", "slic", "ipo_sum", "kto_pair", "dbaql", "aql", "padll", "aqfl", "cell", "lrml",
    "pfl",
]  # fmt: skip
HELD_OUT = ("accuracy", "margin", "loss", "kl")
"""Figures of held-out pairs, which every training logs."""


def speaker_of(candidate: str) -> str:
    """What a candidate is called as a speaker in an evaluation."""
    return f"discovered-{candidate}"


class ProposerSettings(Section):
    """Who proposes losses: a model, or a file of proposals that were recorded."""

    model: Name | None = None
    """A model by its name under `models`: local, served, or behind an API. Unit: name."""

    file: str | None = None
    """In place of a model, a file with one answer in each line, as a model would give it: a JSON
    object with thought, name and code. Unit: path, from the working directory."""

    @model_validator(mode="after")
    def _one_proposer(self) -> "ProposerSettings":
        if (self.model is None) == (self.file is None):
            found = "neither" if self.model is None else "both"
            raise ValueError(
                f"found {found} of model and file; write model: <name> or file: <path>"
            )
        return self


class FitnessSettings(Section):
    """What a loss is worth: a figure of the training that it gave, or of an evaluation."""

    figure: str = "accuracy"
    """accuracy, margin, loss or kl of held-out pairs; of an evaluation: win_rate, corrected, mean, area
    (under the frontier, of the kind frontier), the name of one of its rewards, or a path in its JSON
    file such as speakers.{speaker}.length_controlled.minimal.win_rate. Unit: name."""

    evaluation: Name | None = None
    """The evaluation that the figure is of, by its name under `evaluations`; null takes the held-out
    pairs. Unit: name."""

    direction: Literal["max", "min"] = "max"
    """Whether more or less of it is better. Unit: none."""

    @model_validator(mode="after")
    def _known_figure(self) -> "FitnessSettings":
        if self.evaluation is None and self.figure not in HELD_OUT:
            raise ValueError(
                f"figure: found '{self.figure}'; write one of {', '.join(HELD_OUT)}, or name the "
                "evaluation that it is of"
            )
        return self


class ProposingSettings(Section):
    """What decides proposals, besides the proposer, the templates and the archive."""

    fitness: FitnessSettings = FitnessSettings()
    """What a loss is worth. Unit: none."""

    attempts: int = Field(default=5, ge=1, le=100)
    """Proposals in one generation until one is valid; after that many it ends without a training.
    Unit: proposals."""

    history: int = Field(default=20, ge=0)
    """Earlier proposals, with what became of them, that the proposer is shown; the latest ones.
    Unit: proposals."""

    sampling: Sampling = Sampling(max_new_tokens=2048, temperature=1.0, top_k=0)
    """How proposals are sampled."""

    check_seconds: float = Field(default=20.0, gt=0)
    """Processor time that the check of a proposed loss may take, in a process of its own.
    Unit: seconds."""

    check_memory: Annotated[int, Field(ge=256)] = 2048
    """Memory that the check may use besides that of the libraries. Unit: MB."""


class DiscoverySettings(ProposingSettings):
    """The discovery of losses (DiscoPOP, Lu et al. 2024, arXiv 2406.08414); `snakemake discovery`."""

    proposer: ProposerSettings
    """Who proposes. Unit: none."""

    arm: Name
    """The arm whose pairs and training are used, by its name under `arms`; the loss takes the place of
    the arm's own. Unit: name."""

    generations: int = Field(default=10, ge=1, le=1000)
    """Losses that are tried, one after the other. Unit: generations."""

    baselines: list[BUILT_IN] = ["sigmoid", "slic", "ipo_sum", "kto_pair"]
    """Losses that are trained first and shown to the proposer, by their names. Unit: names."""

    templates: str = "config/templates/discovery"
    """Folder with system.jinja, start.jinja and result.jinja, the messages to the proposer.
    Unit: path, from the working directory."""

    @property
    def template_paths(self) -> list[str]:
        """The template files."""
        return [f"{self.templates}/{name}.jinja" for name in ("system", "start", "result")]

    @property
    def candidates(self) -> list[str]:
        """All that is trained with: the baselines, then a generation after the other."""
        return [*self.baselines, *self.proposed]

    @property
    def proposed(self) -> list[str]:
        """The candidates that are proposed."""
        return [f"generation{number}" for number in range(1, self.generations + 1)]

    @property
    def policies(self) -> dict[str, str]:
        """The candidates by the policies of their answers in the evaluation that is the fitness."""
        evaluation = self.fitness.evaluation
        if evaluation is None:
            return {}
        return {f"{evaluation}@{speaker_of(each)}": each for each in self.candidates}

    def proposing(self) -> dict[str, Any]:
        """Those of its base, which decide proposals."""
        return self.model_dump(mode="json", include=set(ProposingSettings.model_fields))

    @field_validator("baselines")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("one of them stands there twice; write each once")
        return value

    @model_validator(mode="after")
    def _proposals_differ(self) -> "DiscoverySettings":
        if self.proposer.model and not self.sampling.random and self.attempts > 1:
            raise ValueError(
                "at temperature 0 a refused proposal is proposed again; write a "
                "sampling.temperature above 0, such as 1.0, or attempts: 1"
            )
        return self
