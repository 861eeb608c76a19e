"""Settings of the reward gate."""

from pydantic import Field, model_validator

from wim.settings.section import Section


class GateSettings(Section):
    """Measures every judge and reward on pairs that people have labelled."""

    pairs: str | None = None
    """File of labelled pairs in LLMBar's format: a JSON list of {input, output_1, output_2, label};
    null leaves the gate out. Unit: path, from the working directory."""

    bar: float | None = Field(default=None, ge=0, le=1)
    """An arm trains only if the interval of its reward's accuracy lies above this; 0.5 is chance.
    null measures and stops nothing. Unit: share of pairs."""

    @model_validator(mode="after")
    def _bar_needs_pairs(self) -> "GateSettings":
        if self.bar is not None and self.pairs is None:
            raise ValueError("bar has nothing to measure; write pairs: <file of labelled pairs>")
        return self
