"""The base of every section of the configuration."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?$", max_length=128)
]


class Section(BaseModel):
    """Settings are fixed once read, and a key that nobody reads is an error.

    The docstring below an attribute is its description, and ends with `Unit: ...`.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
