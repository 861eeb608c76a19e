"""The base of every section of the configuration."""

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

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

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: Any, field: ValidationInfo) -> Any:
        """Refuse true and false (in YAML also yes, no, on and off) where a number is wanted."""
        if isinstance(value, bool) and field.field_name is not None:
            kinds = _kinds(cls.model_fields[field.field_name].annotation)
            if bool not in kinds and kinds & {int, float}:
                raise PydanticCustomError("no_number", "true and false are no numbers")
        return value


def _kinds(annotation: Any) -> set[type]:
    """The types of the plain values that an annotation allows."""
    if get_origin(annotation) in (Union, UnionType):
        return set().union(*map(_kinds, get_args(annotation)))
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return {type(value) for value in get_args(annotation)}
    return {annotation} if isinstance(annotation, type) else set()
