"""Settings of the sentence encoder."""

from wim.settings.section import Name, Section


class EmbeddingSettings(Section):
    """How responses and critiques become vectors."""

    encoder: Name = "minilm"
    """The sentence encoder, by its name under `models`. Unit: name."""
