"""Settings of the page."""

from pydantic import Field

from wim.settings.section import Section


class PageSettings(Section):
    """The page on which pairs and candidates are read and labelled; docs/guide/page.md."""

    pairs: int = Field(default=10_000, ge=1)
    """The most pairs that the page holds. Of more, it has those of prompts that are drawn by the
    run's seed. Unit: pairs."""

    characters: int = Field(default=60_000_000, ge=1)
    """The most text that the page holds; of more, prompts are drawn in the same way. Unit: characters of responses and their
    conversations."""
