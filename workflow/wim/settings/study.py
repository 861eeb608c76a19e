"""Settings of the study of rewards: critiques that someone else's judge has written."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wim.settings.section import Name, Section

Column = Literal["prompt", "response", "critique", "number", "label", "subset", "tokens"]


class RecordedSettings(Section):
    """Critiques of responses that were written elsewhere, with their numbers."""

    ratings: Annotated[list[str], Field(min_length=1)]
    """JSON, JSON lines, CSV or Parquet files with a row for each judgement; the columns are found
    by their usual names, those of prometheus-eval (instruction, response, feedback, score) among
    them. Unit: paths, from the working directory."""

    labels: str | None = None
    """File of what is right: labelled pairs, or rows of a response and a number. null takes the
    column of labels if there is one, or else, of responses that were judged several times, the
    numbers of the other judgements. Unit: path, from the working directory."""

    columns: dict[Column, str] = {}
    """The names of columns that have other names. Unit: names."""

    scale: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """The lowest and the highest number that the judge may give; null takes those found.
    Unit: numbers."""

    @model_validator(mode="after")
    def _scale_rises(self) -> "RecordedSettings":
        if self.scale and not self.scale[0] < self.scale[1]:
            raise ValueError(f"scale is {self.scale}; write the lower number first, as in [1, 5]")
        return self


class StudySettings(Section):
    """Measures judges and rewards on labelled pairs and on recorded critiques, side by side."""

    recorded: dict[Name, RecordedSettings] = {}
    """Recorded critiques by a name of your choice; each is a source by itself, and heads are tested
    on others than they were fitted to. Unit: none."""
