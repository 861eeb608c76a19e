"""Settings of the sentence encoder."""

from typing import Literal

from wim.settings.section import Name, Section

Long = Literal["cut", "windows"]


class EmbeddingSettings(Section):
    """How responses and critiques become vectors."""

    encoder: Name = "minilm"
    """The sentence encoder, by its name under `models`. Unit: name."""

    long: Long = "cut"
    """Of a text that is longer than the encoder reads, cut: the end is left out; windows: the
    vector is the mean over as few windows of the text as hold all of it. Unit: none."""

    def identity(self) -> dict[str, str]:
        """What decides a vector besides the encoder, where it is not the default."""
        return {} if self.long == "cut" else {"long": self.long}
