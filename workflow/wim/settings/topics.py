"""Settings of the topics that models propose."""

from typing import Any

from pydantic import Field, model_validator

from wim.settings.sampling import Sampling
from wim.settings.section import Name, Section


class TopicSettings(Section):
    """Topics that models propose, as prompts beside those of the files or in their place."""

    number: int = Field(ge=1)
    """Topics to create; a higher number keeps the topics that exist. Unit: topics."""

    models: list[Name] = []
    """The models that take turns to propose, by names under `models`; an empty list takes the
    speakers of the dialogues, as they are before fine-tuning. Unit: names."""

    min_words: int = Field(default=4, ge=1)
    """Shorter proposals are left out. Unit: words."""

    max_words: int = Field(default=12, ge=1)
    """Longer proposals are left out. Unit: words."""

    max_similarity: float = Field(default=0.8, ge=0, le=1)
    """A proposal is left out if the cosine of its embedding with that of an earlier topic is above
    this; the encoder is that of `embeddings`. Unit: cosine."""

    proposals: int = Field(default=8, ge=1, le=1000)
    """Maximum number of proposals per topic to create. Unit: proposals."""

    templates: str = "config/templates/create_topics"
    """Folder with topic.jinja, which asks for a topic. Unit: path, from the working directory."""

    sampling: Sampling = Sampling(max_new_tokens=32, temperature=1.0)
    """How proposals are sampled."""

    @property
    def template_path(self) -> str:
        """The template file."""
        return f"{self.templates}/topic.jinja"

    def identity(self) -> dict[str, Any]:
        """The settings, without the models and the template, which are files."""
        return self.model_dump(mode="json", exclude={"models", "templates"})

    @model_validator(mode="after")
    def _range(self) -> "TopicSettings":
        if self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) is above max_words ({self.max_words})")
        if not self.sampling.random and self.number > max(1, len(self.models)):
            raise ValueError(
                "at temperature 0 or by contrastive search all proposals of a model are the same; "
                "write a sampling.temperature above 0, such as 1.0"
            )
        return self
