"""Settings of how a language model draws its tokens."""

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
    """How completions are drawn."""

    max_new_tokens: int = Field(default=48, ge=1)
    """Longest completion. Unit: tokens."""

    temperature: float = Field(default=0.9, ge=0)
    """Divides the logits before sampling; 0 takes the most likely token. Unit: none."""

    top_k: int = Field(default=50, ge=0)
    """Samples among so many most likely tokens; 0 among all. Unit: tokens."""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """Samples among the most likely tokens that hold this probability together. Unit: probability."""

    penalty_alpha: float = Field(default=0.0, ge=0, lt=1)
    """Above 0, contrastive search (Su et al. 2022, arXiv 2202.06417) in place of sampling: of the
    top_k most likely tokens the one with the best balance of probability and of likeness to what was
    said, which has this weight. 0.6 with a top_k of 4 is usual. Unit: share."""

    @property
    def drawn(self) -> bool:
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
        """In JSON, the form of specs and keys, the penalty appears once it is used."""
        values: dict[str, Any] = handler(self)
        if info.mode == "json" and not self.penalty_alpha:
            values.pop("penalty_alpha", None)
        return values
