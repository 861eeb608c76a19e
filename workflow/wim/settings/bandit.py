"""Settings of the bandit, which shows what AI feedback can and cannot reach."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from wim.settings.section import Section

Beta = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class BanditSettings(Section):
    """The bandit of "A Critical Evaluation of AI Feedback" (arXiv 2402.12366): a policy is a
    distribution over arms, and an arm's true reward is its number. `snakemake bandit` runs it."""

    arms: int = Field(default=100, ge=3, le=2000)
    """Number of arms. Unit: arms."""

    student: float = 40.0
    """The arm at which the student's probabilities have their peak. Unit: arms."""

    teacher: float = 80.0
    """The arm at which the teacher's probabilities have their peak. Unit: arms."""

    width: float = Field(default=300.0, gt=0)
    """Student and teacher choose arm a in proportion to exp(-(a - peak)^2 / width). Unit: arms^2."""

    betas: list[Beta] = [0.1, 0.05, 0.5, 1.0]
    """Strengths of the regularisation towards the policy that feedback starts from; the figure and the
    on-policy rounds have
    the first. Unit: none."""

    seeds: list[Seed] = [0, 1, 2]
    """Seeds of sampled runs, beside the population, which is exact. Unit: none."""

    pairs: int = Field(default=250_000, ge=1, le=10**8)
    """Pairs of arms that a sampled run draws from the policy that is to learn. Unit: pairs."""

    teacher_samples: int = Field(default=250_000, ge=1, le=10**8)
    """Arms that a sampled run draws from the teacher for SFT. Unit: samples."""

    learning_rate: float = Field(default=0.01, gt=0)
    """Step of gradient descent, of the reward model and of SFT. Unit: none."""

    reward_steps: int = Field(default=7500, ge=1)
    """Steps of the reward model, and of DPO. Unit: steps."""

    sft_steps: int = Field(default=15_000, ge=1)
    """Steps of SFT. Unit: steps."""

    rounds: int = Field(default=3, ge=0)
    """Rounds of on-policy feedback, each of which learns from the policy of the one before; 0 leaves
    them out. Unit: rounds."""

    beyond: float = 70.0
    """The table has the probability of the arms above this one, which the student hardly knows.
    Unit: arms."""

    @field_validator("betas")
    @classmethod
    def _some_beta(cls, value: list[float]) -> list[float]:
        if not value:
            raise ValueError("write at least one, such as [0.1]")
        return value

    @field_validator("betas", "seeds")
    @classmethod
    def _each_once(cls, value: list[float]) -> list[float]:
        if len(set(value)) < len(value):
            raise ValueError("one of them stands there twice; write each once")
        return value

    @model_validator(mode="after")
    def _peaks_are_arms(self) -> "BanditSettings":
        for name in ("student", "teacher"):
            if not 0 <= getattr(self, name) <= self.arms - 1:
                raise ValueError(f"{name} is no arm; write a number from 0 to {self.arms - 1}")
        return self
