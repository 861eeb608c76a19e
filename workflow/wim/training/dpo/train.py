"""Direct preference optimisation with TRL's trainer (Rafailov et al. 2023, arXiv 2305.18290)."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from wim.rounds.stop import reason_to_stop
from wim.settings.losses import LOSSES
from wim.settings.training import TrainingSettings
from wim.training.dpo.carry_forward import carry_forward
from wim.training.preference_data import pair_tokens, preference_splits
from wim.training.processes import is_first_process
from wim.training.run.setup import Run, TrainerParts
from wim.training.run.training import Training, training_code
from wim.training.run.weights import open_language_model

logger = logging.getLogger(__name__)


def train_dpo(
    pairs: Path,
    settings: TrainingSettings,
    names: dict[str, Any],
    upstream_settings: dict[str, Any],
    run: Run,
    reference: Path | None = None,
    verdicts: Sequence[Path] = (),
) -> None:
    """Train on the pairs' train split, evaluate on its eval split, and write the checkpoint.

    Args:
        pairs: The table of pairs.
        settings: Those of the arm's training.
        names: The `arm`, `round` and `reward`, and `sft_learning_rate` if the model was fine-tuned
            before.
        upstream_settings: Those that made the pairs, for the model card.
        run: Where the training starts from and goes to.
        reference: Manifest of the reference model; None if it is the model that is trained.
        verdicts: What may have stopped the arm; its last checkpoint is then carried forward.

    Raises:
        UserError: No pair can be trained on, or see Training.write_checkpoint.
    """
    if stopped := reason_to_stop(verdicts):
        if is_first_process():
            from wim.models.opening import opened_folder

            # The next manifest must not take damaged files for this checkpoint's.
            carry_forward(opened_folder(run.manifest), stopped, names, run.folder)
        return
    DpoTraining(
        run=replace(run, per_device=_pairs_at_once(settings, run.per_device)),
        settings=settings,
        upstream_settings=upstream_settings,
        names=names,
        title=f"arm {names['arm']}, round {names['round']}",
        pairs=pairs,
        reference=reference,
    ).write_checkpoint()


def dpo_code() -> str:
    """The digest of the code that decides the outcome of a DPO training."""
    return training_code(Path(__file__))


def _pairs_at_once(settings: TrainingSettings, per_device: int) -> int:
    """Micro-batch size: `per_device` on a GPU; 1 on a CPU, where larger batches are no faster.

    Where a loss depends on which pairs share a forward pass, it is `per_device` everywhere.
    """
    import torch

    over_batch = any(LOSSES[name].over_batch for name in settings.loss_weights)
    return per_device if over_batch or torch.cuda.is_available() else 1


@dataclass(frozen=True, kw_only=True)
class DpoTraining(Training):
    """DPO on a table of pairs; reference: manifest of the reference model, if it is another."""

    kind: ClassVar[str] = "dpo"

    settings: TrainingSettings
    pairs: Path
    reference: Path | None

    def open_model(self, folder: Path, **options: Any) -> Any:
        """A language model; on a GPU TRL's head of it is a kernel that is compiled when it runs."""
        from wim.cluster.gpu_checks import check_compiler

        check_compiler()
        return super().open_model(folder, **options)

    def digests(self) -> Mapping[str, str]:
        """Those of the pairs, and of a reference model that is not the one that is trained."""
        from wim.models.manifest import read_manifest
        from wim.provenance.digest import digest_file

        digests = {"pairs": digest_file(self.pairs)}
        if self.reference is not None:
            digests["reference model"] = read_manifest(self.reference).digest
        return digests

    def code(self) -> str:
        """See dpo_code."""
        return dpo_code()

    def make_trainer(self, parts: TrainerParts) -> Any:
        """TRL's DPOTrainer with our losses, on the pairs."""
        from trl import DPOConfig

        from wim.models.opening import opened_folder
        from wim.training.dpo.batches import PAD_TO
        from wim.training.dpo.reference import ReferenceStore
        from wim.training.dpo.trainer import PreferenceTrainer, loss_arguments
        from wim.training.records.notes import notes

        for note in notes(self.settings, parts.micro_batch, self.names.get("sft_learning_rate")):
            logger.info("dpo: %s", note)
        train, held_out = preference_splits(self.pairs, lambda row: pair_tokens(row, parts.turns))
        parts.turns.log(self.kind)
        reference = None
        if self.reference is not None:
            folder = opened_folder(self.reference, self.run.scratch)
            reference = open_language_model(folder, dtype=parts.model.dtype)
        return parts.trainer(
            PreferenceTrainer,
            DPOConfig,
            train=train,
            held_out=held_out,
            arguments={
                **loss_arguments(self.settings),
                "pad_to_multiple_of": PAD_TO,
                "precompute_ref_log_probs": not self.run.sharded,
            },
            settings=self.settings,
            reference=ReferenceStore(
                self.run.store.with_name("reference_log_probs"), self.reference_digest()
            ),
            ref_model=reference,
        )

    def reference_digest(self) -> str:
        """The identity of the reference model's weights, as its log-probabilities are stored by."""
        from wim.models.manifest import read_manifest

        digest = read_manifest(self.reference or self.run.manifest).digest
        if self.reference is None and self.run.quantization != "none":
            return f"{digest} {self.run.quantization}"
        return digest

    def report(self, trainer: Any, folder: Path) -> None:
        """Add the KL divergence from the reference to the checkpoint's metrics."""
        from wim.training.records.kl import kl_to_reference

        kl = kl_to_reference(trainer, self.base(), self.settings.max_length)
        if kl:
            row = {"step": trainer.state.global_step, "epoch": trainer.state.epoch, **kl}
            with (folder / "metrics.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(row, sort_keys=True) + "\n")
