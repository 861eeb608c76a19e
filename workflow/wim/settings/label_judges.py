"""Settings of a judge by its name: those of any judge, and the label that a classifier's number is of.

They are apart from `wim.settings.sampled_judges`, whose text decides ratings that are made already.
"""

from typing import Any

from pydantic import Field, model_validator

from wim.settings.sampled_judges import NamedJudge


class LabelJudge(NamedJudge):
    """A judge, which rates each candidate and writes what is missing from it, or compares two."""

    label: str | None = Field(default=None, min_length=1)
    """reward_model: of a sequence classifier with several labels the one whose probability is the
    number, by its name in the model's config.json, such as POSITIVE, or by its place from 0; null
    takes the single number of a reward model. Unit: name."""

    def identity(self) -> dict[str, Any]:
        """The settings that the method uses, without the templates, the samples and the label."""
        found = super().identity()
        del found["label"]
        return found

    @model_validator(mode="before")
    @classmethod
    def _place_as_text(cls, values: Any) -> Any:
        """YAML reads a place as a number."""
        if isinstance(values, dict) and type(values.get("label")) is int:
            return {**values, "label": str(values["label"])}
        return values

    @model_validator(mode="after")
    def _label_of_a_classifier(self) -> "LabelJudge":
        if self.label is not None and self.method != "reward_model":
            raise ValueError(f"the method {self.method} ignores label; leave the line out")
        return self
