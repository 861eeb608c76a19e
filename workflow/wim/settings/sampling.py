"""Settings of how a language model draws its tokens."""

from pydantic import Field

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
