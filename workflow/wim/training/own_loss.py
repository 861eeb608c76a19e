"""DPO with a loss that is a text: read, checked and interpreted, never executed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wim.rounds.stop import reason_to_stop
from wim.settings.losses import LOSSES, LossKind
from wim.settings.own_loss import TAKES, PairTrainingSettings
from wim.training.dpo.carry_forward import carry_forward
from wim.training.dpo.train import DpoTraining
from wim.training.processes import is_first_process
from wim.training.run.setup import Run
from wim.training.run.training import training_code


def train_own_loss(
    pairs: Path,
    settings: PairTrainingSettings,
    names: dict[str, Any],
    upstream_settings: dict[str, Any],
    run: Run,
    reference: Path | None = None,
    verdicts: Sequence[Path] = (),
) -> None:
    """Train as `train_dpo` does, with the loss that the settings have the text of.

    Args:
        pairs: The table of pairs.
        settings: Those of the arm's training, with the text of its loss.
        names: The `arm`, `round` and `reward`, and `sft_learning_rate` if the model was fine-tuned
            before.
        upstream_settings: Those that made the pairs, for the model card.
        run: Where the training starts from and goes to.
        reference: Manifest of the reference model; None if it is the model that is trained.
        verdicts: What may have stopped the arm; its last checkpoint is then carried forward.

    Raises:
        UserError: The text is no loss, no pair can be trained on, or see Training.write_checkpoint.
    """
    if stopped := reason_to_stop(verdicts):
        if is_first_process():
            from wim.models.opening import opened_folder

            # The next manifest must not take damaged files for this checkpoint's.
            carry_forward(opened_folder(run.manifest), stopped, names, run.folder)
        return
    title = f"arm {names['arm']}, round {names['round']}"
    train_with_text(pairs, settings, names, upstream_settings, run, reference, title)


def train_with_text(
    pairs: Path,
    settings: PairTrainingSettings,
    names: dict[str, Any],
    upstream_settings: dict[str, Any],
    run: Run,
    reference: Path | None,
    title: str,
) -> None:
    """The training itself; title: what the checkpoint is called. For the rest see train_own_loss."""
    from dataclasses import replace

    import torch

    with loss_from_text(settings):
        over_batch = any(LOSSES[name].over_batch for name in settings.loss_weights)
        # As in train_dpo: larger micro-batches are no faster on a CPU.
        at_once = run.per_device if over_batch or torch.cuda.is_available() else 1
        OwnLossTraining(
            run=replace(run, per_device=at_once),
            settings=settings,
            upstream_settings=upstream_settings,
            names=names,
            title=title,
            pairs=pairs,
            reference=reference,
        ).write_checkpoint()


def own_loss_code() -> str:
    """The digest of the code that decides the outcome of such a training."""
    return training_code(Path(__file__), "wim.own_loss")


class OwnLossTraining(DpoTraining):
    """DPO with a loss that is a text, which is part of its settings."""

    def code(self) -> str:
        """See own_loss_code."""
        return own_loss_code()


@contextmanager
def loss_from_text(settings: PairTrainingSettings) -> Iterator[None]:
    """A block in which the trainer knows the settings' own loss by its label, if they have one."""
    from wim.own_loss.formula import LOG_PROBABILITIES
    from wim.own_loss.interpret import losses_of
    from wim.own_loss.parse import parse_loss
    from wim.training.losses import OWN, LogRatios

    own = settings.own_loss
    if own is None:
        yield
        return
    formula = parse_loss(own.text or "", own.function)

    def losses(pairs: LogRatios, beta: float) -> Any:
        named = dict(
            zip(
                LOG_PROBABILITIES,
                (
                    *(pairs.policy_chosen, pairs.policy_rejected),
                    *(pairs.reference_chosen, pairs.reference_rejected),
                ),
                strict=True,
            )
        )
        return losses_of(formula, named, beta)

    LOSSES[own.label] = LossKind(TAKES, own=True, over_batch=formula.over_batch)
    OWN[own.label] = losses
    try:
        yield
    finally:
        del LOSSES[own.label], OWN[own.label]
