"""What a model's tokens cost. Apart from `wim.settings.models`, whose text decides trainings."""

from pydantic import Field

from wim.settings.section import Section

MILLION = 1e6


class Price(Section):
    """Prices of a model, all models' in one currency. They rerun nothing."""

    input: float = Field(ge=0)
    """Of a million tokens of prompts. Unit: money."""

    output: float = Field(ge=0)
    """Of a million tokens of answers, thinking included. Unit: money."""

    cached_input: float | None = Field(default=None, ge=0)
    """Of a million tokens of prompts that the API had read before, as it counts them; null takes
    `input`. Unit: money."""

    batch_discount: float = Field(default=0.5, ge=0, le=1)
    """Share that is taken off what is queried by `api.batch`. Unit: share."""

    def of(self, prompts: float, answers: float, cached: float = 0, batched: bool = False) -> float:
        """The price of some tokens.

        Args:
            prompts: Tokens of prompts, the cached ones included.
            answers: Tokens of answers.
            cached: Tokens of prompts that the API had read before.
            batched: Whether they were queried by the batch API.
        """
        of_cached = self.input if self.cached_input is None else self.cached_input
        whole = (prompts - cached) * self.input + cached * of_cached + answers * self.output
        return whole / MILLION * (1 - self.batch_discount if batched else 1)
