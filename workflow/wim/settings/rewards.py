"""Settings of a named reward."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from wim.settings.section import Name, Section

if TYPE_CHECKING:
    pass

OF_PANEL = {"of", "by", "at_least"}
# The settings that a kind ignores.
UNUSED = {
    "mixture": OF_PANEL,
    "published": {"rating", *OF_PANEL},
    "nothing_missing": {"zeta", "rating", *OF_PANEL},
    "reward_model": {"zeta", "rating", *OF_PANEL},
    "negated": OF_PANEL,
    "shuffled_wim": OF_PANEL,
    "length": {"zeta", "rating", *OF_PANEL},
    "brevity": {"zeta", "rating", *OF_PANEL},
    "random": {"zeta", "rating", *OF_PANEL},
    "panel": {"judge", "zeta", "rating"},
}
# The kinds that are computed without a judge's words or numbers.
WITHOUT_JUDGE = ("length", "brevity", "random", "panel")


class RewardSettings(Section):
    """A reward: a function of a judge's rating of a candidate, a control for one, or a panel."""

    judge: Name | None = None
    """The judge whose ratings and critiques it uses, by its name under `judges`; length, brevity,
    random and the other controls use the candidates that this judge could judge. length, brevity
    and random need none: null takes all candidates, and nothing is rated for them. A panel has
    none. Unit: name."""

    kind: Literal[
        "mixture",
        "published",
        "nothing_missing",
        "reward_model",
        "panel",
        "negated",
        "shuffled_wim",
        "length",
        "brevity",
        "random",
    ] = "mixture"
    """mixture: (1 - zeta) * scaled rating + zeta * cosine of response and critique; published: the
    same with the published scale and fallbacks, for a judge of the method upstream;
    nothing_missing: the log-probability that nothing is missing, from a structured judge;
    reward_model: the number of a judge of that method; panel: the mean or median of other rewards;
    brevity: minus the completion's tokens. Controls: negated, the mixture with the other sign;
    shuffled_wim, the mixture with the critique of another prompt's response; length, the
    completion's tokens; random, a random number by seed. mixture, published, negated and
    shuffled_wim need a zeta. Unit: none."""

    zeta: float | None = Field(default=None, ge=0, le=1)
    """Weight of the cosine; 1 uses only the critique, 0 only the number. Unit: share."""

    rating: Literal["rating", "rating_expected"] = "rating"
    """The number that is scaled from 1..10 to -1..1: the most likely rating or the mean over the
    judge's probabilities. Unit: none."""

    of: list[Name] = []
    """panel: the rewards that it combines, by their names, all in one unit. Unit: names."""

    by: Literal["mean", "median"] = "mean"
    """panel: how its members' rewards of a candidate are combined. Unit: none."""

    at_least: int = Field(default=1, ge=1)
    """panel: a candidate with rewards from fewer members has none. Unit: rewards."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages of its judge that it is computed from, if it has one.

        Without zeta it needs no embeddings.
        """
        if self.judge is None:
            return ()
        return ("ratings",) if "zeta" in UNUSED[self.kind] else ("ratings", "embeddings")

    def identity(self, seed: int) -> dict[str, Any]:
        """The reward and what it uses; the run's seed only if it samples something."""
        unused = UNUSED[self.kind] | ({"kind"} if self.kind == "mixture" else set())
        drawn = self.kind in ("shuffled_wim", "random")
        return {
            "reward": self.model_dump(mode="json", exclude=unused),
            **({"seed": seed} if drawn else {}),
        }

    @model_validator(mode="after")
    def _fits_kind(self) -> "RewardSettings":
        for name in sorted(UNUSED[self.kind]):
            if getattr(self, name) != type(self).model_fields[name].get_default():
                raise ValueError(f"the kind {self.kind} ignores {name}; leave the line out")
        if self.zeta is None and "zeta" not in UNUSED[self.kind]:
            raise ValueError("zeta is missing; write a number from 0 to 1")
        if self.judge is None and self.kind not in WITHOUT_JUDGE:
            raise ValueError("judge is missing; write the name of one under `judges`")
        if self.kind == "panel" and (len(set(self.of)) < 2 or len(set(self.of)) < len(self.of)):
            raise ValueError("a panel has two members or more; write of: [<reward>, <reward>]")
        if self.kind == "panel" and self.at_least > len(self.of):
            raise ValueError(
                f"at_least is {self.at_least}, and the panel has {len(self.of)} members; write at "
                f"most {len(self.of)}"
            )
        return self
