"""Settings of how a language model samples its tokens."""

from typing import Any

from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from wim.settings.section import Section


class Sampling(Section):
    """How completions are sampled."""

    max_new_tokens: int = Field(default=48, ge=1)
    """Longest completion. Unit: tokens."""

    temperature: float = Field(default=0.9, ge=0)
    """Divides the logits before sampling; 0 takes the most likely token. Unit: none."""

    top_k: int = Field(default=50, ge=0)
    """Samples among this number of most likely tokens; 0: among all. Unit: tokens."""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """Samples among the fewest most likely tokens that together have this probability.
    Unit: probability."""

    penalty_alpha: float = Field(default=0.0, ge=0, lt=1)
    """Above 0, contrastive search (Su et al. 2022, arXiv 2202.06417) in place of sampling: it takes
    the token, among the top_k most likely, with the best balance of its probability and of its
    similarity to the text so far, which has this weight. 0.6 with a top_k of 4 is usual.
    Unit: share."""

    @property
    def random(self) -> bool:
        """Whether the seed matters."""
        return self.temperature > 0 and not self.penalty_alpha

    @model_validator(mode="after")
    def _candidates(self) -> "Sampling":
        if self.penalty_alpha and self.top_k < 2:
            raise ValueError(
                f"contrastive search (penalty_alpha) chooses among top_k tokens, and that is "
                f"{self.top_k}; write top_k: 4"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_what_does_nothing(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """In JSON, which identifies rows, the penalty appears only if it is used."""
        values: dict[str, Any] = handler(self)
        if info.mode == "json" and not self.penalty_alpha:
            values.pop("penalty_alpha", None)
        return values
