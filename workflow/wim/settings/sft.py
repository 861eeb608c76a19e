"""Settings of supervised fine-tuning (SFT)."""

from pydantic import Field

from wim.settings.optimization import OptimizationSettings
from wim.settings.section import Name

REFERENCES = "references"


class SftSettings(OptimizationSettings):
    """A model fine-tuned on completions; the loss is over the completions' tokens only."""

    completions: Name = REFERENCES
    """What it trains on: references, the answers in the prompt files; or the completions of a
    policy: base, the actor, or a name under `policies`, such as a teacher. Unit: name."""

    model: Name | None = None
    """The model that is trained, by its name under `models`; null takes the actor. Unit: name."""

    prompts: float = Field(default=1.0, gt=0, le=1)
    """Share of the training prompts that it trains on, chosen by the hash of their content. Below
    1, arms that start from it make their pairs of the other prompts only; 0.1 is as published
    (arXiv 2402.12366). Unit: share."""

    finished: bool = True
    """Leaves out completions that were cut off at max_new_tokens, which would teach the model to
    stop in the middle. Unit: none."""

    learning_rate: float = Field(default=2e-4, gt=0)
    """Highest learning rate; without LoRA 1e-6 to 2e-5 is usual. Unit: none."""

    max_length: int = Field(default=512, ge=8)
    """Longest prompt with completion; the rest is cut off, and a row without a token of its
    completion left is left out. Unit: tokens."""
