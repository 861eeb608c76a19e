"""One training, from a staged model to a checkpoint: the steps that all methods share."""

import logging
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wim.atomic import whole_folder
from wim.cluster.locks import Turn, turn
from wim.display.json_files import write_json, write_json_lines
from wim.models.manifest import write_manifest
from wim.settings.optimization import OptimizationSettings
from wim.training.processes import is_first_process
from wim.training.run.metrics import unclocked
from wim.training.run.setup import Run, TrainerParts, trainer_parts
from wim.training.run.sharding import whole_weights
from wim.training.run.weights import open_language_model, save_model

logger = logging.getLogger(__name__)


def training_code(entry: Path, *further: str) -> str:
    """The digest of the code that decides the outcome of a training.

    Args:
        entry: The module of the method.
        further: Packages that decide it besides those of training.
    """
    from wim.provenance.code import code_digest

    common = (
        "wim.training",
        "wim.settings",
        "wim.engines.local",
        "wim.engines.chat_format",
        "wim.engines.reasoning",
        "wim.engines.special_tokens",
        "wim.engines.turn_format",
        "wim.models.saving",
    )
    return code_digest(entry, within=(*common, *further), without=("wim.training.records",))


@dataclass(frozen=True, kw_only=True)
class Training(ABC):
    """A training; each method is a subclass that says what differs.

    Attributes:
        run: Where the training starts from and goes to.
        settings: Those of the method.
        upstream_settings: Those that made the data, for the model card.
        names: What the checkpoint is called in provenance.json, such as its `arm` and `round`.
        title: What it is called in the model card and in the manifest.
    """

    kind: ClassVar[str]
    """The method, one of wim.training.records.card.WHAT."""

    run: Run
    settings: OptimizationSettings
    upstream_settings: Mapping[str, Any]
    names: Mapping[str, Any]
    title: str

    def write_checkpoint(self) -> None:
        """Open the model, make the trainer, train, and write the checkpoint.

        The checkpoint's folder holds the merged model (safetensors), the tokenizer with its chat
        template, the adapter, the model card (README.md), trainer_state.json, metrics.jsonl,
        provenance.json and manifest.json. It appears whole or not at all.

        Of several processes (wim.training.run.launch) all train, and the first one writes. The
        trainer saves itself in the working folder, from which a killed job resumes. A job that
        finds another one at the same training waits for it, and makes its own checkpoint of what
        that one has trained.

        Raises:
            UserError: The model or the data cannot be trained on, a loss is not finite, or memory
                or disk space ran out.
            SystemExit: With 128 + signal, after SIGTERM or SIGUSR1, when the trainer is saved.
        """
        provenance = self.provenance()
        working = self.working_folder(provenance)
        what = f"is at the same training ({working})"
        with turn(working.parent, working.name, what, lambda: set(working.glob("*"))) as mine:
            if self.run.launch is not None:
                self.run.launch()
            else:
                self._train_and_write(provenance, working, mine)
            if mine.alone and not mine.is_awaited():
                _discard(working)

    def _train_and_write(self, provenance: Mapping[str, Any], working: Path, mine: Turn) -> None:
        from wim.training.records.resource_errors import explain_out_of_memory
        from wim.training.saved_states import last_saved, step_of

        saved = last_saved(working) if is_first_process() else None
        with explain_out_of_memory(self.settings, self.run.per_device, working):
            parts = trainer_parts(
                self.run,
                self.settings,
                name=self.kind,
                base=self.base(),
                open_model=self.open_model,
                working=working,
                first_step=step_of(saved) if saved else 0,
                is_awaited=mine.is_awaited,
            )
            trainer = self.make_trainer(parts)
            self.train(trainer, parts, saved)
            weights = whole_weights(trainer)
        if not trainer.is_world_process_zero():
            return
        with (
            explain_out_of_memory(self.settings, self.run.per_device, working),
            whole_folder(self.run.folder) as folder,
        ):
            self.write(trainer, weights, self.base(), provenance, folder)

    def base(self) -> Path:
        """The folder to open the base model from; its files are checked, see opened_folder."""
        from wim.models.opening import opened_folder

        return opened_folder(self.run.manifest, self.run.scratch)

    def provenance(self) -> dict[str, Any]:
        """Everything that made the checkpoint, as in its provenance.json."""
        from wim.models.manifest import read_manifest
        from wim.provenance.code_changes import accepted_upstream

        run, base = self.run, read_manifest(self.run.manifest)
        training = self.settings.model_dump(mode="json")
        quantized = run.quantization != "none"
        return {
            **self.names,
            "kind": self.kind,
            "title": self.title,
            "base": base.source,
            "settings": {**self.upstream_settings, "training": training, "seed": run.seed},
            "digests": {"base model": base.digest, **self.digests()},
            "accepted": accepted_upstream(),
            **({"quantization": run.quantization} if quantized else {}),
            **run.turns,
        }

    def working_folder(self, provenance: Mapping[str, Any]) -> Path:
        """Where the trainer saves itself: a folder of the store, named by what decides the outcome.

        So a killed job resumes from its own state, and no other training ever does.
        """
        from wim.provenance.code_changes import stored_code
        from wim.provenance.digest import row_id

        decided_by = {
            "training": provenance["settings"]["training"],
            "seed": self.run.seed,
            "digests": provenance["digests"],
            "code": stored_code(self.run.store, self.code()),
        }
        if self.run.quantization != "none":
            decided_by["quantization"] = self.run.quantization
        if self.run.turns:
            decided_by["turns"] = self.run.turns
        if self.run.sharded:
            # Its saved states are of another form.
            decided_by["parallel"] = self.run.parallel
        return self.run.store / row_id(decided_by)

    @abstractmethod
    def digests(self) -> Mapping[str, str]:
        """Digests of what is trained on, by its name, besides that of the base model."""

    @abstractmethod
    def code(self) -> str:
        """The digest of the code that decides the outcome."""

    def open_model(self, folder: Path, **options: Any) -> Any:
        """The model that is trained, from a folder; options: those of from_pretrained."""
        return open_language_model(folder, **options)

    @abstractmethod
    def make_trainer(self, parts: TrainerParts) -> Any:
        """TRL's trainer of this method, on its data."""

    def train(self, trainer: Any, parts: TrainerParts, saved: Path | None) -> None:
        """Train to the end, or until a signal.

        Args:
            trainer: The trainer.
            parts: What it was made with.
            saved: The state to resume from, as the first process sees it; None for none.
        """
        from transformers import PrinterCallback

        from wim.training.run.callbacks import RestoreCounters, agreed
        from wim.training.saved_states import PREFIX, step_of

        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(RestoreCounters(trainer))
        step, _ = agreed(step_of(saved) if saved else 0, False)
        state = parts.working / f"{PREFIX}{step}" if step else None
        if state:
            logger.info("%s: resuming from %s", self.kind, state.name)
        try:
            trainer.train(resume_from_checkpoint=str(state) if state else None)
        except Exception:
            if state and not parts.resumable.began:
                logger.error("error: the training cannot be resumed from %s; delete it", state)
            raise
        if parts.resumable.stopped_by:
            logger.warning("%s: stopped by a signal and saved; run again to resume", self.kind)
            sys.exit(128 + parts.resumable.stopped_by)

    def write(
        self,
        trainer: Any,
        weights: Mapping[str, Any] | None,
        base: Path,
        provenance: Mapping[str, Any],
        folder: Path,
    ) -> None:
        """Write the checkpoint into a folder.

        Args:
            trainer: At the end of training.
            weights: The trained weights, if the model does not hold them whole (see whole_weights).
            base: The folder that the model was opened from.
            provenance: What made the checkpoint.
            folder: A new, empty folder.
        """
        from wim.training.records.card import model_card

        save_model(
            trainer,
            weights,
            base=base,
            name=self.run.manifest.parent,
            settings=self.settings,
            open_model=self.open_model,
            folder=folder,
        )
        history = [unclocked(row) for row in trainer.state.log_history]
        write_json_lines(folder / "metrics.jsonl", history)
        state = {
            "global_step": trainer.state.global_step,
            "epoch": trainer.state.epoch,
            "max_steps": trainer.state.max_steps,
            "log_history": history,
        }
        write_json(folder / "trainer_state.json", state)
        write_json(folder / "provenance.json", provenance)
        (folder / "README.md").write_text(model_card(provenance, history), encoding="utf-8")
        self.report(trainer, folder)
        write_manifest(folder, self.title)

    def report(self, trainer: Any, folder: Path) -> None:  # noqa: B027
        """Measure the trained model and add the results to the checkpoint's folder."""


def _discard(working: Path) -> None:
    """Remove a working folder. It is there whole or not at all, whenever this process ends."""
    former = working.with_name(f".{working.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    with suppress(OSError):
        working.rename(former)
    for left in working.parent.glob(".*.former"):
        shutil.rmtree(left, ignore_errors=True)
