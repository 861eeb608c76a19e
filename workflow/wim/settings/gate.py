"""Settings of the reward gate."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from wim.provenance.digest import seed_of
from wim.settings.section import Section

# The policies of labelled responses: each response once, for judges of single ones; pair by pair,
# for judges of pairs; and those that are judged a second time.
LABELLED, LABELLED_PAIRS, RETEST = "labelled", "labelled_pairs", "retest"


def seed_of_policy(policy: str, seed: int) -> int:
    """The seed by which a policy's responses are judged; a second judgement has another."""
    return seed_of(seed, RETEST) if policy == RETEST else seed


class GateSettings(Section):
    """Measures every judge and reward on labelled pairs."""

    pairs: str | list[str] | None = None
    """File of labelled pairs, or several: JSON, JSON lines or Parquet, in the project's own form,
    {input, output_1, output_2, label}, or in that of a published set (docs/guide/evaluation.md);
    null leaves the gate out. Unit: paths, from the working directory."""

    format: (
        Literal[
            "pairs",
            "llmbar",
            "pandalm",
            "judgebench",
            "rewardbench",
            "rm_bench",
            "hh_rlhf",
            "auto_j",
            "mt_bench",
        ]
        | None
    ) = None
    """The form of the files; null tells each file's by its keys. Unit: none."""

    labelled_by: str | None = None
    """Who gave the labels, as the report says it, such as people; null names the files.
    Unit: none."""

    bar: float | None = Field(default=None, ge=0, le=1)
    """An arm trains only if the interval of its reward's accuracy is above this; 0.5 is chance.
    null only measures. Unit: share of pairs."""

    least_pairs: int = Field(default=10, ge=1)
    """With fewer judged pairs the bar is not passed, however right the reward is on them.
    Unit: pairs."""

    retest: float = Field(default=0.0, ge=0, le=1)
    """Share of the pairs that judges rate a second time, with another seed, to measure how far a
    reward repeats itself. Judges that do not sample are not queried again. Unit: share of pairs."""

    tuned: list[str] = []
    """Rewards, and judges of pairs as pairs/<judge>, that are tries of one thing, such as a judge
    with several templates, the first the one to beat: `snakemake judge_tuning` chooses the best on
    one half of the prompts and reports it on the other. Unit: names."""

    @property
    def files(self) -> list[str]:
        """The files of labelled pairs."""
        return [self.pairs] if isinstance(self.pairs, str) else list(self.pairs or [])

    @property
    def form(self) -> dict[str, Any]:
        """The form of the files, where it is given: what decides how they are read."""
        return {} if self.format is None else {"form": self.format}

    @field_validator("pairs")
    @classmethod
    def _distinct(cls, pairs: str | list[str] | None) -> str | list[str] | None:
        files = [pairs] if isinstance(pairs, str) else pairs
        if files is not None and (not all(files) or not files or len(set(files)) < len(files)):
            raise ValueError("write one or more files, each once")
        return pairs

    @model_validator(mode="after")
    def _needs_pairs(self) -> "GateSettings":
        for name in ("bar", "tuned"):
            if getattr(self, name) not in (None, []) and self.pairs is None:
                raise ValueError(
                    f"{name} has nothing to measure; write pairs: <file of labelled pairs>"
                )
        if len(set(self.tuned)) < len(self.tuned) or len(self.tuned) == 1:
            raise ValueError("tuned has the tries of one thing; write two or more, each once")
        return self
