"""Settings of a judge by its name: those of any judge, how often it judges, and in which aspects.

They are apart from `wim.settings.judging`, whose text decides ratings and online trainings that are
made already.
"""

from typing import Any

from pydantic import (
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from wim.settings.aspects import KNOWN, AspectName, KnownAspect, Question, heading, questions_of
from wim.settings.judging import TEMPLATES, JudgeSettings

# Between a judge's name and the number of a sample after the first, in names of tables; no name has it.
SAMPLE = "~"
MOST_ASPECTS = 12
# Fewer tokens for each aspect hold no sentence.
ASPECT_TOKENS = 16


class NamedJudge(JudgeSettings):
    """A judge, which rates each candidate and writes what is missing from it, or compares two."""

    samples: int = Field(default=1, ge=1, le=10)
    """structured, single_call, upstream: how often it judges each response, each time with words
    and a number of its own, in results/ratings/<policy>/<judge>~<sample>/. Rewards are of all that
    are usable; more than 1 needs a temperature above 0. Unit: judgements."""

    aspects: list[KnownAspect] | dict[AspectName, Question] = []
    """structured: the aspects that it rates apart, all in one text, each with words and a number of
    its own; a list of helpfulness, honesty, instruction_following and truthfulness, those of
    UltraFeedback, or aspects of your own by name with a question each. Rewards take the mean over
    them, or one by name. Unit: names, or questions by name."""

    @property
    def questions(self) -> dict[str, str]:
        """The question of each aspect, in the order of their names; empty without aspects."""
        return questions_of(self.aspects)  # type: ignore[arg-type]

    def templates_for(self, conversations: bool) -> list[str]:
        """The method's template files, for single turns or whole conversations, and for aspects."""
        if not self.aspects or self.templates is not None:
            return super().templates_for(conversations)
        about = "conversations/" if conversations else ""
        return [f"config/templates/{about}aspects/{name}.jinja" for name in TEMPLATES["structured"]]

    def identity(self) -> dict[str, Any]:
        """The settings that the method uses, without the templates, and without the samples.

        The first of several samples is the judgement of a judge with one.
        """
        found = super().identity()
        del found["samples"]
        del found["aspects"]
        return found | ({"aspects": self.questions} if self.aspects else {})

    @field_validator("aspects", mode="wrap")
    @classmethod
    def _aspects_in_words(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            found = read(value)
            # Their order has no meaning, and so is in no identity.
            return sorted(found) if isinstance(found, list) else found
        except ValidationError:
            raise ValueError(
                f"write a list of {', '.join(KNOWN)}, or for each aspect a line <name>: <question>, "
                "whose name begins with a letter and has letters, digits, _ and - alone"
            ) from None

    @model_validator(mode="after")
    def _aspects_fit(self) -> "NamedJudge":
        if not self.aspects:
            return self
        if self.method != "structured":
            raise ValueError(f"the method {self.method} ignores aspects; leave the line out")
        if not 2 <= len(self.aspects) <= MOST_ASPECTS or len(self.questions) < len(self.aspects):
            raise ValueError(
                f"aspects: found {', '.join(self.aspects)}; write from 2 to {MOST_ASPECTS} different "
                "ones, or leave the line out"
            )
        alike = {heading(name) for name in self.aspects}
        if len(alike) < len(self.aspects):
            raise ValueError(
                f"aspects: found {', '.join(self.aspects)}, of which two differ only in case, _ or "
                "-, which a judge's answer cannot tell apart; rename one"
            )
        if self.sampling.max_new_tokens < ASPECT_TOKENS * len(self.aspects):
            raise ValueError(
                f"{self.sampling.max_new_tokens} tokens hold no words on {len(self.aspects)} aspects; "
                f"write sampling: {{max_new_tokens: {60 * len(self.aspects)}}}"
            )
        return self

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


def number_of_sample(name: str) -> int:
    """The number of a sample, from 1, by its name in the paths of tables."""
    return int(name.partition(SAMPLE)[2] or 1)


def judge_of_sample(name: str) -> str:
    """The judge that a sample is of, by the name of either."""
    return name.partition(SAMPLE)[0]
