"""Settings of the reward gate."""

from pydantic import Field, model_validator

from wim.provenance.digest import seed_of
from wim.settings.section import Section

# The policy of the pairs that are judged a second time.
RETEST = "retest"


def seed_of_policy(policy: str, seed: int) -> int:
    """The seed by which a policy's responses are judged; a second judgement has another."""
    return seed_of(seed, RETEST) if policy == RETEST else seed


class GateSettings(Section):
    """Measures every judge and reward on pairs that people have labelled."""

    pairs: str | None = None
    """File of labelled pairs in LLMBar's format: a JSON list of {input, output_1, output_2, label};
    null leaves the gate out. Unit: path, from the working directory."""

    bar: float | None = Field(default=None, ge=0, le=1)
    """An arm trains only if the interval of its reward's accuracy is above this; 0.5 is chance.
    null only measures. Unit: share of pairs."""

    retest: float = Field(default=0.0, ge=0, le=1)
    """Share of the pairs that judges rate a second time, with another seed, to measure how far a
    reward repeats itself. Judges that do not sample are not queried again. Unit: share of pairs."""

    @model_validator(mode="after")
    def _bar_needs_pairs(self) -> "GateSettings":
        if self.bar is not None and self.pairs is None:
            raise ValueError("bar has nothing to measure; write pairs: <file of labelled pairs>")
        return self
