"""Settings of a judge: the model, its method, and its templates."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from wim.settings.sampling import Sampling
from wim.settings.section import Name, Section

# The template files of a method, without `.jinja`, and the settings that it ignores.
TEMPLATES = {
    "structured": ("critique", "rating"),
    "single_call": ("judgement",),
    "upstream": ("judgement",),
    "pairwise": ("comparison",),
    "mt_bench": ("single", "single_conversation", "pair", "pair_conversation"),
    "reward_model": (),
}
UNUSED = {
    "structured": {"decimals"},
    "single_call": set[str](),
    "upstream": {"nothing_missing", "phrases", "echo_overlap", "attempts", "decimals"},
    "pairwise": {
        "sampling",
        "nothing_missing",
        "phrases",
        "echo_overlap",
        "attempts",
        "decimals",
    },
    "mt_bench": {"nothing_missing", "echo_overlap", "attempts", "decimals"},
    "reward_model": {
        "templates",
        "sampling",
        "nothing_missing",
        "phrases",
        "echo_overlap",
        "attempts",
        "decimals",
    },
}
SINGLE_CALL_TOKENS = 64


def _with_a_letter(phrase: str) -> str:
    if not any(map(str.isalpha, phrase)):
        raise ValueError(f"found {phrase!r}, which has no letter; write the words of the phrase")
    return phrase


Phrase = Annotated[str, AfterValidator(_with_a_letter)]


class PhraseSettings(Section):
    """Phrases by which a judge's answer is read, beside those that are known of 12 languages."""

    nothing_missing: list[Phrase] = []
    """Texts that a critique opens with if nothing is missing. Unit: texts."""

    exceptions: list[Phrase] = []
    """Words after which, in the same sentence, something is missing after all. Unit: texts."""

    refusals: list[Phrase] = []
    """Texts that an answer opens with if the judge refuses. Unit: texts."""


class JudgeSettings(Section):
    """A judge, which rates each candidate and writes what is missing from it, or compares two."""

    model: Name
    """The model that judges, by its name under `models` or `sft`; of the method reward_model by its
    name under `reward_models`, or under `models` for one that is trained already. Unit: name."""

    method: Literal[
        "structured", "single_call", "upstream", "pairwise", "mt_bench", "reward_model"
    ] = "structured"
    """structured: the critique in a separate call, then the number from the probabilities of 1 to
    10 with the critique in view; single_call: explanation, [[number]] and [[[critique]]] in one
    answer, strictly parsed; upstream: the same, prompted and parsed as the published code does, to
    reproduce its figures; pairwise: which of two responses is better, in both orders, from the
    probabilities of A and B (see `comparisons`); mt_bench: grades and compares answers to questions
    of several turns, explanation first, for evaluations of the kind mt_bench alone; reward_model:
    the number that a reward model gives, without text. Unit: none."""

    templates: str | None = None
    """Folder with the method's templates: critique.jinja and rating.jinja; judgement.jinja for
    methods of one call; comparison.jinja for pairs; single.jinja, single_conversation.jinja,
    pair.jinja and pair_conversation.jinja for mt_bench. null takes config/templates/<method>.
    Unit: path, from the working directory."""

    sampling: Sampling = Sampling(max_new_tokens=40, temperature=0.0)
    """How the judge's text is sampled; methods of one call need room for all of it, 256 tokens in
    the published code, and 2048 in that of MT-Bench."""

    nothing_missing: str = Field(default="Nothing is missing", min_length=1)
    """The text by which a critique says that nothing is missing: a critique that opens with it has
    the status nothing_missing. The template of structured asks for it, and structured records its
    log-probability; upstream ignores it. Unit: text."""

    phrases: PhraseSettings = PhraseSettings()
    """More phrases that say so, make an exception or refuse, in the judge's language or words; not
    in upstream."""

    echo_overlap: float = Field(default=0.8, gt=0, le=1)
    """A critique that shares at least this share of its five-word sequences with the template or
    the response has the status echo; not in upstream. Unit: share."""

    attempts: int = Field(default=1, ge=1, le=16)
    """structured, single_call: maximum attempts per judgement, until its text is usable. Each retry
    uses a new seed, so more than 1 needs a temperature above 0. Unit: attempts."""

    decimals: bool = False
    """single_call: whether numbers such as 7.5 are accepted on the scale of 1 to 10. Unit: none."""

    @property
    def rates(self) -> bool:
        """Whether it rates candidates one by one, as rewards need it."""
        return self.method not in ("pairwise", "mt_bench")

    @property
    def compares(self) -> bool:
        """Whether it compares two responses, as comparisons and win rates need it."""
        return self.method == "pairwise"

    @property
    def grades(self) -> bool:
        """Whether it grades and compares answers to the questions of evaluations."""
        return self.method == "mt_bench"

    @property
    def criticises(self) -> bool:
        """Whether it writes what is missing."""
        return self.rates and self.method != "reward_model"

    @property
    def template_paths(self) -> list[str]:
        """The method's template files."""
        return self.templates_for(conversations=False)

    def templates_for(self, conversations: bool) -> list[str]:
        """The method's template files, for single turns or for whole conversations."""
        about = "conversations/" if conversations else ""
        folder = self.templates or f"config/templates/{about}{self.method}"
        return [f"{folder}/{name}.jinja" for name in TEMPLATES[self.method]]

    def identity(self) -> dict[str, Any]:
        """The settings that the method uses, without the templates, which are files."""
        unused = UNUSED[self.method]
        if self.phrases == PhraseSettings():
            unused = unused | {"phrases"}
        if self.method == "structured" and self.attempts == 1:
            # With one attempt it is the same judge as before there was this setting.
            unused = unused | {"attempts"}
        return self.model_dump(mode="json", exclude={"templates", *unused})

    @model_validator(mode="after")
    def _fits_method(self) -> "JudgeSettings":
        for name in sorted(UNUSED[self.method]):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"the method {self.method} ignores {name}; leave the line out")
        if (
            self.method in ("single_call", "upstream", "mt_bench")
            and self.sampling.max_new_tokens < SINGLE_CALL_TOKENS
        ):
            raise ValueError(
                f"{self.sampling.max_new_tokens} tokens hold no explanation with what follows it; "
                "write sampling: {max_new_tokens: 256}"
            )
        if self.attempts > 1 and not self.sampling.random:
            raise ValueError(
                f"{self.attempts} attempts at temperature 0 or by contrastive search give the same "
                "answer; write attempts: 1, or a sampling.temperature above 0, such as 0.6"
            )
        return self
