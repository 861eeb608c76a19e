"""Settings of a judge by its name: those of any judge, and how often it judges a response.

They are apart from `wim.settings.judging`, whose text decides ratings and online trainings that are
made already.
"""

from typing import Any

from pydantic import Field, model_validator

from wim.settings.judging import JudgeSettings

# Between a judge's name and the number of a sample after the first, in names of tables; no name has it.
SAMPLE = "~"


class NamedJudge(JudgeSettings):
    """A judge, which rates each candidate and writes what is missing from it, or compares two."""

    samples: int = Field(default=1, ge=1, le=10)
    """structured, single_call, upstream: how often it judges each response, each time with words
    and a number of its own, in results/ratings/<policy>/<judge>~<sample>/. Rewards are of all that
    are usable; more than 1 needs a temperature above 0. Unit: judgements."""

    def identity(self) -> dict[str, Any]:
        """The settings that the method uses, without the templates, and without the samples.

        The first of several samples is the judgement of a judge with one.
        """
        found = super().identity()
        del found["samples"]
        return found

    @model_validator(mode="after")
    def _samples_differ(self) -> "NamedJudge":
        if self.samples == 1:
            return self
        if not self.criticises:
            raise ValueError(f"the method {self.method} ignores samples; leave the line out")
        if not self.sampling.random:
            raise ValueError(
                f"{self.samples} samples at temperature 0 or by contrastive search are the same "
                "judgement; write samples: 1, or a sampling.temperature above 0, such as 0.6"
            )
        return self


def sample_names(judge: str, samples: int) -> list[str]:
    """The names of a judge's samples in the paths of tables; the first is the judge's own."""
    return [judge, *(f"{judge}{SAMPLE}{number}" for number in range(2, samples + 1))]


def judge_of_sample(name: str) -> str:
    """The judge that a sample is of, by the name of either."""
    return name.partition(SAMPLE)[0]
