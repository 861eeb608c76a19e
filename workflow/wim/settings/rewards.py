"""Settings of a named reward."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from wim.settings.section import Name, Section

if TYPE_CHECKING:
    from wim.settings.judging import JudgeSettings

# The settings that a kind has no use for.
UNUSED = {
    "mixture": set[str](),
    "published": {"rating"},
    "nothing_missing": {"zeta", "rating"},
    "negated": set[str](),
    "shuffled_wim": set[str](),
    "length": {"zeta", "rating"},
    "random": {"zeta", "rating"},
}
# The judge that a kind needs, and why.
NEEDS = {
    "published": ("upstream", "asks and parses as published"),
    "nothing_missing": ("structured", "records that log-probability"),
}


class RewardSettings(Section):
    """A reward: a function of a judge's rating of a candidate, or a control for one."""

    judge: Name
    """The judge whose ratings and critiques it uses, by its name under `judges`; a control takes
    the candidates that this judge could judge. Unit: name."""

    kind: Literal[
        "mixture", "published", "nothing_missing", "negated", "shuffled_wim", "length", "random"
    ] = "mixture"
    """mixture: (1 - zeta) * scaled rating + zeta * cosine of response and critique; published: the
    same with the published scale and fallbacks, for a judge of the method upstream; nothing_missing:
    log-probability that nothing is missing, of a structured judge. Controls: negated, the mixture
    with the other sign; shuffled_wim, the mixture with the critique of another prompt's response;
    length, the completion's tokens; random, a number drawn by seed. All need a zeta but for
    nothing_missing, length and random. Unit: none."""

    zeta: float | None = Field(default=None, ge=0, le=1)
    """Weight of the cosine; 1 uses the critique alone, 0 the number alone. Unit: share."""

    rating: Literal["rating", "rating_expected"] = "rating"
    """The number that is scaled from 1..10 to -1..1: the most likely rating or the mean over the
    judge's probabilities. Unit: none."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages of its judge that it is made of; without zeta it has no use for vectors."""
        return ("ratings",) if "zeta" in UNUSED[self.kind] else ("ratings", "embeddings")

    def told(self, seed: int) -> dict[str, Any]:
        """The reward and what it uses; the run's seed only where something is drawn."""
        unused = UNUSED[self.kind] | ({"kind"} if self.kind == "mixture" else set())
        drawn = self.kind in ("shuffled_wim", "random")
        return {
            "reward": self.model_dump(mode="json", exclude=unused),
            **({"seed": seed} if drawn else {}),
        }

    @model_validator(mode="after")
    def _fits_kind(self) -> "RewardSettings":
        for name in sorted(UNUSED[self.kind]):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"the kind {self.kind} has no use for {name}; leave the line out")
        if self.zeta is None and "zeta" not in UNUSED[self.kind]:
            raise ValueError("zeta is missing; write a number from 0 to 1")
        return self


def unfit_judges(
    rewards: Mapping[str, RewardSettings], judges: "Mapping[str, JudgeSettings]"
) -> list[str]:
    """In words, the rewards whose judge cannot give what their kind is made of."""
    return [
        f"rewards.{name}.kind: found '{reward.kind}', which needs a judge of the method "
        f"{NEEDS[reward.kind][0]}, as that {NEEDS[reward.kind][1]}; judges.{reward.judge}.method "
        f"is {judges[reward.judge].method}."
        for name, reward in rewards.items()
        if reward.kind in NEEDS
        and reward.judge in judges
        and judges[reward.judge].method != NEEDS[reward.kind][0]
    ]
