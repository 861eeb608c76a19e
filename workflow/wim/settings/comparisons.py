"""Settings of a comparison: whose candidates a judge of pairs sets against each other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from wim.settings.section import Name, Section

if TYPE_CHECKING:
    from wim.settings.arms import Arm
    from wim.settings.judging import JudgeSettings
    from wim.settings.pairs import PairSettings
    from wim.settings.rewards import RewardSettings

# The comparison that the workflow itself names: of the responses that people have labelled.
LABELLED = "labelled"


class ComparisonSettings(Section):
    """Candidates of one context, compared two by two by a judge of the method pairwise."""

    judge: Name
    """The judge, by its name under `judges`; its method is pairwise. Unit: name."""

    between: list[Name] = Field(default=["base"], min_length=1, max_length=2)
    """The policies whose candidates meet: base (the actor) or names under `policies`. Of one, its
    candidates meet each other. Unit: names."""

    per_context: int | None = Field(default=1, ge=1)
    """At most so many pairs of each context, drawn by seed; null compares all. Unit: pairs."""

    @model_validator(mode="after")
    def _between_two(self) -> "ComparisonSettings":
        if len(set(self.between)) < len(self.between):
            raise ValueError(f"between names one policy twice; write between: [{self.between[0]}]")
        return self


def comparison_problems(
    comparisons: Mapping[str, ComparisonSettings],
    judges: "Mapping[str, JudgeSettings]",
    rewards: "Mapping[str, RewardSettings]",
    arms: "Mapping[str, tuple[Arm, PairSettings]]",
) -> list[str]:
    """One line for each comparison, judge of pairs or arm of a comparison that does not fit.

    arms: with the settings of their pairs, the common ones included.
    """
    problems = [
        f"comparisons.{name}: the workflow itself gives this name to the gate's pairs; write another."
        for name in comparisons
        if name == LABELLED
    ]
    problems += [
        f"comparisons.{name}.judge: found '{one.judge}', which rates responses one by one; write a "
        "judge of the method pairwise."
        for name, one in comparisons.items()
        if one.judge in judges and judges[one.judge].rates
    ]
    problems += [
        f"rewards.{name}.judge: found '{one.judge}', which compares responses and rates none; write "
        "a judge of another method, or label an arm by it: arms.<name>.comparison."
        for name, one in rewards.items()
        if one.judge and one.judge in judges and not judges[one.judge].rates
    ]
    for name, (arm, pairs) in arms.items():
        if arm.comparison is None:
            continue
        if pairs.ties != "drop":
            problems.append(
                f"arms.{name}.pairs.ties: found '{pairs.ties}', and a tie of a comparison labels "
                "nothing; write pairs: {ties: drop}."
            )
        if "select" in arm.pairs:
            problems.append(
                f"arms.{name}.pairs.select: all that was compared is used; write "
                f"comparisons.{arm.comparison}.per_context instead."
            )
    return problems
