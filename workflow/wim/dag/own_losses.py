"""Losses that users wrote: their texts, and the arms that train with them."""

from dataclasses import dataclass
from pathlib import Path

from wim.dag.inputs import Inputs
from wim.errors import UserError
from wim.own_loss.parse import parse_loss
from wim.settings.own_loss import OwnLoss, PairTrainingSettings


@dataclass(frozen=True)
class OwnLosses:
    """The losses of the configuration that are texts."""

    inputs: Inputs

    @property
    def arms(self) -> list[str]:
        """The arms of which a round trains with such a loss."""
        return [
            arm
            for arm in self.inputs.offline_arms
            if any(self._settings(arm, number).own_loss for number in self._rounds(arm))
        ]

    @property
    def others(self) -> list[str]:
        """The other arms that train on a table of pairs."""
        own = self.arms
        return [arm for arm in self.inputs.offline_arms if arm not in own]

    def training(self, arm: str, number: int = 1) -> PairTrainingSettings:
        """The training of an arm's round, with the text of its loss in place of the file.

        Raises UserError if the file is not there, or is no loss.
        """
        settings = self._settings(arm, number)
        if settings.own_loss is None:
            return settings
        loss = self.read(settings.own_loss, f"arms.{arm}.training.loss")
        return settings.model_copy(update={"loss": loss})

    def read(self, loss: OwnLoss, key: str) -> OwnLoss:
        """A loss with its text and the name of its function; key: where it is written."""
        if loss.text is not None:
            text, place = loss.text, f"config: {key}.text"
        else:
            path = self.inputs.file_at(str(loss.file), f"{key}.file")
            place = path
            try:
                text = Path(path).read_text(encoding="utf-8-sig")
            except (OSError, ValueError) as error:
                raise UserError(
                    f"{path}: cannot be read as UTF-8 text ({error}); write the path of a file with "
                    f"a function at {key}.file."
                ) from None
        try:
            formula = parse_loss(text, loss.function)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        return OwnLoss(text=text, function=formula.name)

    def check(self) -> None:
        """Raise UserError for the first loss that cannot be read."""
        for arm in self.arms:
            for number in self._rounds(arm):
                self.training(arm, number)

    def _settings(self, arm: str, number: int) -> PairTrainingSettings:
        return self.inputs.config.arm_training(arm, number)

    def _rounds(self, arm: str) -> range:
        return range(1, self.inputs.config.arm_rounds(arm).count + 1)
