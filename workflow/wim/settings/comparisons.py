"""Settings of a comparison: whose candidates a pairwise judge compares."""

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from wim.settings.section import Name, Section

if TYPE_CHECKING:
    pass


class ComparisonSettings(Section):
    """Candidates of one context, compared two by two by a judge of the method pairwise."""

    judge: Name
    """The judge, by its name under `judges`; its method is pairwise. Unit: name."""

    between: list[Name] = Field(default=["base"], min_length=1, max_length=2)
    """The policies whose candidates are compared: base (the actor) or names under `policies`. With
    one policy, its candidates are compared with each other. Unit: names."""

    per_context: int | None = Field(default=1, ge=1)
    """Maximum number of pairs per context, sampled by seed; null compares all. Unit: pairs."""

    @model_validator(mode="after")
    def _between_two(self) -> "ComparisonSettings":
        if len(set(self.between)) < len(self.between):
            raise ValueError(f"between names one policy twice; write between: [{self.between[0]}]")
        return self
