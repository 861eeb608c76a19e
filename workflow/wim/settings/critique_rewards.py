"""Settings of a named reward of any kind, those included that read the critique's own words.

They are apart from `wim.settings.rewards`, whose text decides rewards and online trainings that are
made already.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from wim.settings.aspects import AspectName
from wim.settings.rewards import OF_PANEL, UNUSED, RewardSettings
from wim.settings.section import Name

# The kinds that read the critique's own words, and the settings that each ignores.
BY_CRITIQUE = {
    "lack_share": {"zeta", "rating", "of"},
    "critique_head": {"zeta", "rating", "of"},
}
OF_HEAD = {"learns_from", "fit", "vectors"}
OF_ASPECTS = {"aspect", "least_aspects"}
OF_CRITIQUE = {"ties", "length_penalty", *OF_HEAD, *OF_ASPECTS}
# Kinds that have a number whose ties the critique can break.
WITH_NUMBER = ("mixture", "negated")


class NamedReward(RewardSettings):
    """A reward: a function of a judge's rating of a candidate, a control for one, or a panel."""

    kind: Literal[
        "mixture",
        "published",
        "nothing_missing",
        "reward_model",
        "lack_share",
        "critique_head",
        "panel",
        "negated",
        "shuffled_wim",
        "length",
        "brevity",
        "random",
    ] = "mixture"  # type: ignore[assignment]
    """mixture: (1 - zeta) * scaled rating + zeta * cosine of response and critique; published: the
    same with the published scale and fallbacks, for a judge of the method upstream;
    nothing_missing: the log-probability that nothing is missing, from a structured judge;
    reward_model: the number of a judge of that method; lack_share: minus the share of the
    critique's sentences that name a lack; critique_head: what a linear model that was fitted to
    other critiques makes of the critique's vector; panel: the mean or median of other rewards;
    brevity: minus the completion's tokens. Controls: negated, the mixture with the other sign;
    shuffled_wim, the mixture with the critique of another prompt's response; length, the
    completion's tokens; random, a random number by seed. mixture, published, negated and
    shuffled_wim need a zeta. Unit: none."""

    by: Literal["mean", "median"] = "mean"
    """panel, and judges with samples: how the rewards of a candidate by the members, or by the
    samples, are combined. Unit: none."""

    at_least: int = Field(default=1, ge=1)
    """panel, and judges with samples: a candidate with rewards from fewer members, or from fewer
    samples, has none. Unit: rewards."""

    aspect: AspectName | None = None
    """Judges with aspects: the one that it is of; null takes the mean over the usable ones.
    Unit: name."""

    least_aspects: int | None = Field(default=None, ge=1)
    """Judges with aspects, without `aspect`: a judgement with fewer usable aspects has no reward;
    null wants all of them. Unit: aspects."""

    ties: Literal["none", "lack_share", "critique_head"] = "none"
    """mixture and negated of zeta 0: what of the critique decides between responses of one number,
    without ever outweighing a difference of numbers; lack_share and critique_head as the kinds of
    these names. Unit: none."""

    learns_from: list[Name] = []
    """critique_head, as a kind or for ties: what it is fitted to. Names under study.recorded, whose
    critiques and numbers it takes; `labelled`, the gate's labelled pairs with the critiques of this
    reward's judge; or other judges, whose numbers of the same candidates it takes beside the
    critiques of this reward's judge. Unit: names."""

    fit: Literal["ridge", "logistic"] = "ridge"
    """critique_head: ridge, a regression of the numbers; logistic, one of which response of two
    has the higher number or the label. Unit: none."""

    vectors: Literal["critique", "critique_and_response"] = "critique"
    """critique_head: the vectors that it reads. Unit: none."""

    length_penalty: float = Field(default=0.0, ge=0)
    """What is taken off the reward for each 100 tokens of the completion. Unit: the reward's own,
    per 100 tokens."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages of its judge that it is computed from, if it has one."""
        if self.judge is None:
            return ()
        if self.has_head:
            return ("ratings", "embeddings")
        return ("ratings",) if self.kind in BY_CRITIQUE else super().reads

    @property
    def has_head(self) -> bool:
        """Whether a fitted head is a part of it."""
        return self.kind == "critique_head" or self.ties == "critique_head"

    @property
    def reads_critique(self) -> bool:
        """Whether it reads the critique's own words, or has a penalty: by score_by_critique."""
        return self.kind in BY_CRITIQUE or self.ties != "none" or self.length_penalty > 0

    @property
    def each(self) -> "NamedReward":
        """The reward of a single judgement, without what combines those of several samples."""
        return self.model_copy(update={"by": "mean", "at_least": 1})

    def identity(self, seed: int) -> dict[str, Any]:
        """The reward and what it uses; the run's seed only if it samples something."""
        unused = (BY_CRITIQUE | UNUSED)[self.kind] | ({"kind"} if self.kind == "mixture" else set())
        unused = {*unused, *self._at_defaults(OF_CRITIQUE)}
        if self.kind != "panel":
            unused = (unused - OF_PANEL) | {"of", *self._at_defaults({"by", "at_least"})}
        drawn = self.kind in ("shuffled_wim", "random")
        return {
            "reward": self.model_dump(mode="json", exclude=unused),
            **({"seed": seed} if drawn else {}),
        }

    def measured(self) -> dict[str, Any]:
        """All of its settings, as the study is known by them; those of aspects only if written."""
        return self.model_dump(mode="json", exclude=self._at_defaults(OF_ASPECTS))

    def _at_defaults(self, names: set[str]) -> set[str]:
        fields = type(self).model_fields
        return {name for name in names if getattr(self, name) == fields[name].get_default()}

    @model_validator(mode="after")
    def _fits_kind(self) -> "NamedReward":
        unused = (BY_CRITIQUE | UNUSED)[self.kind]
        # Whether its judge has samples, which they would combine, is not known here.
        if self.kind != "panel" and self.judge is not None:
            unused = unused - {"by", "at_least"}
        if self.kind == "panel":
            unused = unused | OF_CRITIQUE
        if not self.has_head:
            unused = unused | OF_HEAD
        # Whether its judge has aspects is not known here either.
        if self.judge is None:
            unused = unused | OF_ASPECTS
        for name in sorted(unused - self._at_defaults(unused)):
            raise ValueError(f"the kind {self.kind} ignores {name}; leave the line out")
        if self.zeta is None and "zeta" not in (BY_CRITIQUE | UNUSED)[self.kind]:
            raise ValueError("zeta is missing; write a number from 0 to 1")
        if self.judge is None and self.kind not in ("length", "brevity", "random", "panel"):
            raise ValueError("judge is missing; write the name of one under `judges`")
        if self.kind == "panel" and (len(set(self.of)) < 2 or len(set(self.of)) < len(self.of)):
            raise ValueError("a panel has two members or more; write of: [<reward>, <reward>]")
        if self.kind == "panel" and self.at_least > len(self.of):
            raise ValueError(
                f"at_least is {self.at_least}, and the panel has {len(self.of)} members; write at "
                f"most {len(self.of)}"
            )
        if self.aspect is not None and self.least_aspects is not None:
            raise ValueError(
                f"least_aspects is of means over aspects, and this reward is of {self.aspect} alone; "
                "leave one of the two lines out"
            )
        return self._ties_fit()

    def _ties_fit(self) -> "NamedReward":
        if self.ties != "none" and (self.kind not in WITH_NUMBER or self.zeta):
            raise ValueError(
                f"ties: {self.ties} decides between equal numbers, and this reward is not the number "
                "alone; write kind: mixture with zeta: 0, or leave the line out"
            )
        if self.ties != "none" and self.rating != "rating":
            raise ValueError(
                f"ties: {self.ties} has no effect, as no two means over probabilities are equal; "
                "leave out rating: rating_expected, or the line"
            )
        if self.has_head and not self.learns_from:
            raise ValueError(
                "learns_from is missing; write names under study.recorded, `labelled`, or other "
                "judges"
            )
        return self
