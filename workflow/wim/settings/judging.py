"""Settings of a judge: the model, its method, and its templates."""

from typing import Any, Literal

from pydantic import Field, model_validator

from wim.settings.sampling import Sampling
from wim.settings.section import Name, Section

# The template files of a method, without `.jinja`, and the settings that it has no use for.
TEMPLATES = {
    "structured": ("critique", "rating"),
    "single_call": ("judgement",),
    "upstream": ("judgement",),
    "pairwise": ("comparison",),
    "reward_model": (),
}
UNUSED = {
    "structured": {"decimals"},
    "single_call": set[str](),
    "upstream": {"nothing_missing", "echo_overlap", "attempts", "decimals"},
    "pairwise": {"sampling", "nothing_missing", "echo_overlap", "attempts", "decimals"},
    "reward_model": {
        *("templates", "sampling", "nothing_missing", "echo_overlap", "attempts", "decimals")
    },
}
SINGLE_CALL_TOKENS = 64


class JudgeSettings(Section):
    """A judge, which rates each candidate and says what is missing from it, or compares two."""

    model: Name
    """The model that judges, by its name under `models` or `sft`; of the method reward_model by its
    name under `reward_models`, or under `models` for one that is trained already. Unit: name."""

    method: Literal["structured", "single_call", "upstream", "pairwise", "reward_model"] = (
        "structured"
    )
    """structured: the critique in a call of its own, then the number read from the probabilities
    of 1 to 10 with the critique in view; single_call: explanation, [[number]] and [[[critique]]]
    in one answer, strictly parsed; upstream: the same, asked and parsed as the published code does,
    to reproduce its figures; pairwise: which of two responses is better, in both orders, read from
    the probabilities of A and B (see `comparisons`); reward_model: the number that a reward model
    gives, without words. Unit: none."""

    templates: str | None = None
    """Folder with the method's templates: critique.jinja and rating.jinja, for one call
    judgement.jinja, for pairs comparison.jinja; null takes config/templates/<method>. Unit: path, from the working directory."""

    sampling: Sampling = Sampling(max_new_tokens=40, temperature=0.0)
    """How the judge's words are drawn; one call needs room for all of it, as published 256 tokens."""

    nothing_missing: str = Field(default="Nothing is missing", min_length=1)
    """The words with which a critique says that nothing is missing: a critique that opens with them
    has the status nothing_missing. The template of structured asks for them, and it records their
    log-probability; upstream does not know them. Unit: text."""

    echo_overlap: float = Field(default=0.8, gt=0, le=1)
    """A critique repeats the template or the response, status echo, from this share of its
    five-word sequences on; not in upstream. Unit: share."""

    attempts: int = Field(default=1, ge=1, le=16)
    """structured, single_call: how often at most the judge's words are asked for until they are
    usable, each time drawn with another seed, so above 1 it needs a temperature above 0. Unit: attempts."""

    decimals: bool = False
    """single_call: whether the scale of 1 to 10 has numbers such as 7.5; false refuses them.
    Unit: none."""

    @property
    def rates(self) -> bool:
        """Whether it judges candidates one by one, as rewards need it."""
        return self.method != "pairwise"

    @property
    def criticises(self) -> bool:
        """Whether it says in words what is missing."""
        return self.method not in ("pairwise", "reward_model")

    @property
    def template_paths(self) -> list[str]:
        """The method's template files."""
        return self.templates_for(conversations=False)

    def templates_for(self, conversations: bool) -> list[str]:
        """The method's template files, of which those about whole conversations are others."""
        about = "conversations/" if conversations else ""
        folder = self.templates or f"config/templates/{about}{self.method}"
        return [f"{folder}/{name}.jinja" for name in TEMPLATES[self.method]]

    def identity(self) -> dict[str, Any]:
        """The settings that the method uses, but for the templates, which are files."""
        unused = UNUSED[self.method]
        if self.method == "structured" and self.attempts == 1:
            # Asked once it is the judge that it was when it could not be asked again.
            unused = unused | {"attempts"}
        return self.model_dump(mode="json", exclude={"templates", *unused})

    @model_validator(mode="after")
    def _fits_method(self) -> "JudgeSettings":
        for name in sorted(UNUSED[self.method]):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"the method {self.method} has no use for {name}; leave the line out"
                )
        if (
            self.method in ("single_call", "upstream")
            and self.sampling.max_new_tokens < SINGLE_CALL_TOKENS
        ):
            raise ValueError(
                f"{self.sampling.max_new_tokens} tokens hold no explanation with number and "
                "critique; write sampling: {max_new_tokens: 256}"
            )
        if self.attempts > 1 and not self.sampling.drawn:
            raise ValueError(
                f"{self.attempts} attempts at temperature 0 or by contrastive search give the same "
                "answer; write attempts: 1, or a sampling.temperature above 0, such as 0.6"
            )
        return self
