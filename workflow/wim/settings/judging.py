"""Settings of a judge: the model, its method, and its templates."""

from typing import Literal

from pydantic import Field

from wim.settings.sampling import Sampling
from wim.settings.section import Name, Section


class JudgeSettings(Section):
    """A judge, which rates each candidate and says what is missing from it."""

    model: Name
    """The model that judges, by its name under `models`. Unit: name."""

    method: Literal["structured"] = "structured"
    """structured: the critique in a call of its own, then the number read from the probabilities
    of 1 to 10 with the critique in view. Unit: none."""

    templates: str = "config/templates/structured"
    """Folder with critique.jinja and rating.jinja. Unit: path, from the working directory."""

    sampling: Sampling = Sampling(max_new_tokens=40, temperature=0.0)
    """How the critique is drawn."""

    nothing_missing: str = Field(default="Nothing is missing", min_length=1)
    """The words with which a critique says that nothing is missing: the template asks for them, a
    critique that opens with them has the status nothing_missing, and their log-probability is
    recorded. Unit: text."""

    echo_overlap: float = Field(default=0.8, gt=0, le=1)
    """A critique repeats the template or the response, status echo, from this share of its
    five-word sequences on. Unit: share."""
