"""Settings of exported data sets."""

from typing import Annotated

from pydantic import Field

from wim.settings.section import Name, Section


class ExportSettings(Section):
    """What an exported data set says of itself; docs/guide/exports.md."""

    name: Name = "wim-pairs"
    """The data set's name, without spaces. Unit: name."""

    title: Annotated[str, Field(min_length=1, pattern=r"^[^\n\r]+$")] = (
        "Preference pairs by AI feedback"
    )
    """Its title on the card. Unit: text."""

    license: Annotated[str, Field(min_length=1, pattern=r"^[^\n\r]+$")] | None = None
    """The licence under which it may be used, as the hub names it, such as cc-by-4.0. Prompts and
    models have licences of their own, which may bind what is made with them; null states none.
    Unit: name."""

    url: str | None = None
    """Where it will be found; null takes its name on the hub. Unit: URL."""

    desirable_from: float | None = None
    """For trainings on single answers with a label (KTO): an answer is desirable if the mean of its
    judges' numbers is this or more; answers without a usable number are left out. null writes no
    such files. Unit: rating.
    """
