"""Settings of a training whose loss may be one that the user wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from wim.errors import UserError
from wim.own_loss.parse import parse_loss
from wim.settings.losses import LossName, Option, check_option, checked_loss
from wim.settings.training import LOSS_OPTIONS, TrainingSettings

# Options that act on log-probabilities before any loss, and on losses after it.
TAKES: frozenset[Option] = frozenset({"ld_alpha", "wpo_weighting"})
WRITE = (
    "write {file: my_loss.py, function: my_loss}, or text: with the function in place of the file"
)


class OwnLoss(BaseModel):
    """A loss that the user wrote: a function in a file, or its text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str | None = None
    function: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$", max_length=128)] | None
    ) = None
    text: str | None = None

    @property
    def label(self) -> str:
        """What reports call it."""
        return f"{self.function or Path(self.file or 'loss').stem} (own)"

    @model_validator(mode="after")
    def _one_text(self) -> "OwnLoss":
        if (self.file is None) == (self.text is None):
            raise ValueError(WRITE)
        if self.text is not None:
            try:
                parse_loss(self.text, self.function)
            except UserError as error:
                raise ValueError(str(error).removesuffix(".")) from None
        return self

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """In Python pairs in a tuple: a mapping would be merged with an arm's own."""
        values = {key: value for key, value in handler(self).items() if value is not None}
        return values if info.mode == "json" else tuple(values.items())


class PairTrainingSettings(TrainingSettings):
    """One DPO run (Rafailov et al. 2023, arXiv 2305.18290)."""

    loss: LossName | dict[LossName, Annotated[float, Field(gt=0)]] | OwnLoss = "sigmoid"  # type: ignore[assignment]
    """The loss by its name, or several with the weight of each, such as {sigmoid: 0.8, lrml: 0.2};
    docs/reference/losses.md has them all. Or one of your own, as a function in a file:
    {file: my_loss.py, function: my_loss}; docs/guide/experiments.md. Unit: none."""

    @property
    def own_loss(self) -> OwnLoss | None:
        """The loss that the user wrote, if it is one."""
        return self.loss if isinstance(self.loss, OwnLoss) else None

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weight of each loss by its name; of one's own by its label."""
        return super().loss_weights if self.own_loss is None else {self.own_loss.label: 1.0}

    @property
    def loss_label(self) -> str:
        """A short text of the loss."""
        return super().loss_label if self.own_loss is None else self.own_loss.label

    @field_validator("loss", mode="before")
    @classmethod
    def _known_loss(cls, value: Any) -> Any:
        written = dict(value) if isinstance(value, tuple) else value
        if isinstance(written, OwnLoss):
            return written
        if not isinstance(written, Mapping) or not set(OwnLoss.model_fields) & set(written):
            return checked_loss(value)
        try:
            return OwnLoss.model_validate(written)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "value_error":
                raise ValueError(first["msg"].removeprefix("Value error, ")) from None
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {WRITE}") from None

    @field_validator("tau", "label_smoothing", "f_divergence", "ld_alpha", "wpo_weighting")
    @classmethod
    def _option_of_its_loss(cls, value: Any, info: ValidationInfo) -> Any:
        loss, option = info.data.get("loss"), cast(Option, info.field_name)
        if isinstance(loss, OwnLoss):
            if option not in TAKES and value != LOSS_OPTIONS[option]:
                raise ValueError(
                    f"a loss of your own ({loss.label}) does not read it; leave it out, and write "
                    "the constant in its text"
                )
        elif loss is not None:
            names = [loss] if isinstance(loss, str) else loss
            check_option(option, value, LOSS_OPTIONS[option], names)
        return value
