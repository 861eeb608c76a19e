"""Settings of direct preference optimisation (DPO)."""

from typing import Annotated, Any, cast

from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)

from wim.settings.losses import Divergence, LossName, Option, check_option, checked_loss
from wim.settings.optimization import LoraSettings as LoraSettings
from wim.settings.optimization import OptimizationSettings

# Options of the loss, with the values at which they do nothing.
LOSS_OPTIONS = {
    "tau": None,
    "label_smoothing": None,
    "f_divergence": "reverse_kl",
    "f_divergence_alpha": None,
    "ld_alpha": None,
    "wpo_weighting": False,
}


class TrainingSettings(OptimizationSettings):
    """One DPO run (Rafailov et al. 2023, arXiv 2305.18290)."""

    beta: float = Field(default=0.1, gt=0)
    """Strength of the regularisation towards the reference model. Unit: none."""

    loss: LossName | dict[LossName, Annotated[float, Field(gt=0)]] = "sigmoid"
    """The loss by its name, or several with the weight of each, such as {sigmoid: 0.8, lrml: 0.2};
    docs/reference/losses.md has them all. Unit: none."""

    tau: float | None = Field(default=None, gt=0)
    """Temperature in discopop, dbaql, aql, aqfl, pfl and lrml; null is 0.05, the paper's.
    Unit: none."""

    label_smoothing: float | None = Field(default=None, gt=0, lt=0.5, validate_default=True)
    """Share of the pairs assumed to be labelled the wrong way round, in exo_pair, robust and cdpo,
    which need it, and in aot and aot_unpaired. Unit: probability."""

    f_divergence: Divergence = "reverse_kl"
    """Divergence that regularises the policy towards the reference, in losses of the difference of
    log-ratios (f-DPO, Wang et al. 2023, arXiv 2309.16240). Unit: none."""

    f_divergence_alpha: float | None = Field(default=None, gt=0, lt=1)
    """The alpha of alpha_divergence; null is 0.5. Unit: none."""

    ld_alpha: float | None = Field(default=None, ge=0, le=1)
    """Weight of the tokens by which the longer completion of a pair exceeds the shorter one
    (LD-DPO, Liu et al. 2024, arXiv 2409.06411); null counts them like the others. Unit: share."""

    wpo_weighting: bool = False
    """Weights a pair by how likely the policy itself is to write it (WPO, Zhou et al. 2024,
    arXiv 2406.11827). Unit: none."""

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weight of each loss by its name."""
        mixture = {self.loss: 1.0} if isinstance(self.loss, str) else self.loss
        return {str(name): weight for name, weight in mixture.items()}

    @property
    def loss_label(self) -> str:
        """A short text of the loss: its name, or "0.8 sigmoid + 0.2 lrml"."""
        if isinstance(self.loss, str):
            return self.loss
        return " + ".join(f"{weight:g} {name}" for name, weight in self.loss.items())

    @field_validator("loss", mode="before")
    @classmethod
    def _known_loss(cls, value: Any) -> str | dict[str, float]:
        return checked_loss(value)

    @field_validator("f_divergence_alpha")
    @classmethod
    def _alpha_of_its_divergence(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("f_divergence") != "alpha_divergence":
            raise ValueError(
                "it has an effect only with f_divergence: alpha_divergence; write null"
            )
        return value

    @field_validator("tau", "label_smoothing", "f_divergence", "ld_alpha", "wpo_weighting")
    @classmethod
    def _option_of_its_loss(cls, value: Any, info: ValidationInfo) -> Any:
        loss, option = info.data.get("loss"), cast(Option, info.field_name)
        if loss is not None:
            check_option(
                option, value, LOSS_OPTIONS[option], [loss] if isinstance(loss, str) else loss
            )
        return value

    @model_serializer(mode="wrap")
    def _without_what_does_nothing(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """In JSON, which identifies trainings, options of the loss appear only if they are used.

        In Python a mixture is a tuple of pairs: a mapping would be merged with an arm's own.
        """
        values: dict[str, Any] = handler(self)
        if info.mode == "json":
            return {
                key: value
                for key, value in values.items()
                if key not in LOSS_OPTIONS or value != LOSS_OPTIONS[key]
            }
        if isinstance(self.loss, dict):
            values["loss"] = tuple(self.loss.items())
        return values
