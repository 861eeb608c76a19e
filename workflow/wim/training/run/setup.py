"""Where a training starts from and goes to, and what the trainer of any method is made with."""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.engines.local.loading import attention_options, bits_and_bytes
from wim.errors import UserError
from wim.settings.dialogues import Reasoning
from wim.settings.models import Thinking
from wim.settings.optimization import OptimizationSettings, Parallel
from wim.settings.precision import Attention, Quantization
from wim.training.processes import use_own_gpu, world_size
from wim.training.run.sharding import sharding_arguments
from wim.training.run.weights import (
    OpenModel,
    hold_adapters_in_float32,
    keep_4bit_differentiable,
    lora_config,
)
from wim.training.steps import accumulation_steps, autocast_bf16
from wim.training.turns import TrainedTurns, checked_turns

if TYPE_CHECKING:
    from datasets import Dataset

    from wim.training.run.callbacks import Resumable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """Where a training starts from and goes to.

    Attributes:
        manifest: That of the model that is trained.
        seed: Of new weights, of the order of rows and of dropout.
        per_device: The most rows of a forward pass.
        store: The folder in which the trainer saves itself.
        save_seconds: The time between two saves.
        folder: That of the checkpoint.
        scratch: A folder on the node's own disk (see wim.models.node_copy).
        logs: The folder of TensorBoard's event files, and of what the trackers write.
        tracking: Further trackers: comet, wandb.
        quantization: How the weights below adapters are held (QLoRA); the merged weights are those
            of the unquantized model.
        thinking: Whether the model is prompted to reason, as in generating.
        reasoning: What becomes of reasoning; see DialogueSettings.reasoning.
        parallel: How several GPUs share a training.
        attention: What computes the attention.
        launch: Trains in several processes in place of this one.
    """

    manifest: Path
    seed: int
    per_device: int
    store: Path
    save_seconds: float
    folder: Path
    scratch: str | None = None
    logs: Path | None = None
    tracking: tuple[str, ...] = ()
    quantization: Quantization = "none"
    thinking: Thinking = None
    reasoning: Reasoning = "trained"
    parallel: Parallel = "ddp"
    attention: Attention = "auto"
    launch: Callable[[], None] | None = None

    @property
    def turns(self) -> dict[str, Any]:
        """What decides the tokens of turns, where that is no default; part of identities."""
        thinking = {} if self.thinking is None else {"thinking": self.thinking}
        return thinking | ({} if self.reasoning == "trained" else {"reasoning": self.reasoning})

    @property
    def sharded(self) -> bool:
        """Whether each of several processes holds a share of the weights."""
        return self.parallel == "fsdp" and (self.launch is not None or world_size() > 1)


@dataclass(frozen=True)
class TrainerParts:
    """What the trainer of any method is made with.

    Attributes:
        name: The method, for messages.
        working: The training's working folder.
        micro_batch: Rows of a forward pass.
        arguments: Those of TRL's configuration that all methods have.
        model: The opened model.
        turns: Its turns, which have its tokenizer.
        adapter: The LoraConfig of the adapter to train, None if all weights are trained.
        callbacks: Those of all methods; a method may add its own.
        resumable: The one of them that saves the trainer.
    """

    name: str
    working: Path
    micro_batch: int
    arguments: Mapping[str, Any]
    model: Any
    turns: TrainedTurns
    adapter: Any
    callbacks: list[Any]
    resumable: "Resumable"

    def trainer(
        self,
        trainer_class: type,
        arguments_class: type,
        train: "Dataset",
        held_out: "Dataset",
        arguments: Mapping[str, Any],
        **options: Any,
    ) -> Any:
        """A TRL trainer.

        Args:
            trainer_class: The trainer.
            arguments_class: Its configuration.
            train: Rows to train on.
            held_out: Rows to evaluate on after each epoch; may be empty.
            arguments: Fields of the configuration that this method has besides the common ones.
            options: Arguments of the trainer besides the common ones.

        Raises:
            UserError: No row to train on fits into max_length.
        """
        from transformers.trainer_utils import IntervalStrategy

        trainer = trainer_class(
            args=arguments_class(
                **self.arguments, eval_strategy="epoch" if len(held_out) else "no", **arguments
            ),
            train_dataset=train,
            eval_dataset=held_out if len(held_out) else None,
            model=self.model,
            processing_class=self.turns.turns.chat.tokenizer,
            peft_config=self.adapter,
            callbacks=self.callbacks,
            **options,
        )
        if self.adapter is not None:
            hold_adapters_in_float32(trainer.model)
        rows, evaluated = len(trainer.train_dataset), len(trainer.eval_dataset or [])
        logger.info(
            "%s: %d rows, %d held out, batches of %d x %d x %d",
            self.name,
            rows,
            evaluated,
            world_size(),
            trainer.args.gradient_accumulation_steps,
            self.micro_batch,
        )
        if left_out := len(train) + len(held_out) - rows - evaluated:
            logger.warning("%s: %d rows cannot be trained on", self.name, left_out)
        if not rows:
            raise UserError(
                f"{self.name}: no row to train on fits into max_length {trainer.args.max_length}; "
                "raise it."
            )
        if not evaluated:
            trainer.args.eval_strategy = IntervalStrategy.NO
        return trainer


def trainer_parts(
    run: Run,
    settings: OptimizationSettings,
    name: str,
    base: Path,
    open_model: OpenModel,
    working: Path,
    first_step: int,
    is_awaited: Callable[[], bool],
) -> TrainerParts:
    """Open the model and its tokenizer, and choose the arguments that all methods share.

    Args:
        run: Where the training starts from and goes to.
        settings: Those of the method.
        name: The method, for messages.
        base: The folder to open the model from.
        open_model: Opens it.
        working: The folder in which the trainer saves itself.
        first_step: The steps that were made before.
        is_awaited: Whether another job waits to do the same training.

    Raises:
        UserError: The model has no chat template, or one that cannot be trained with, or a tracker
            is not installed.
    """
    import torch
    from transformers import set_seed

    from wim.engines.chat_format import ChatFormat
    from wim.engines.turn_format import TurnFormat
    from wim.training.records.tracking import trackers
    from wim.training.run.callbacks import ProgressLog, Resumable, StopOnNonFinite

    tracked = trackers(run.logs, run.tracking, first_step) if run.logs else []
    half = autocast_bf16(settings.precision)
    # Frozen weights need no more than the precision they are multiplied in; adapters stay float32.
    dtype = torch.bfloat16 if half and settings.lora else torch.float32
    micro, accumulation = accumulation_steps(settings.batch_size, run.per_device, world_size())
    resumable = Resumable(run.save_seconds, working, is_awaited)
    # The weights of a new head are random.
    set_seed(run.seed)
    # Weights are packed on the GPU, at once.
    use_own_gpu()
    quantized = {}
    if run.quantization != "none":
        quantized = {"quantization_config": bits_and_bytes(run.quantization, dtype)}
    attention = attention_options(run.attention, torch.bfloat16 if half else torch.float32)
    model = open_model(base, dtype=dtype, **attention, **quantized)
    if quantized:
        keep_4bit_differentiable(model)
    chat = ChatFormat.of_folder(base, run.thinking, str(run.manifest))
    turns = checked_turns(TurnFormat(chat), name, str(run.manifest))
    arguments = {
        "output_dir": str(_saving_folder(working)),
        "seed": run.seed,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.scheduler,
        "warmup_steps": settings.warmup,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": micro,
        "per_device_eval_batch_size": micro,
        "gradient_accumulation_steps": accumulation,
        "max_length": settings.max_length,
        "max_grad_norm": settings.max_grad_norm,
        "weight_decay": settings.weight_decay,
        "bf16": half,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "use_cpu": not torch.cuda.is_available(),
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "run_name": "-".join(run.logs.parts[-2:]) if run.logs else None,
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    if run.sharded:
        arguments |= sharding_arguments()
    return TrainerParts(
        name=name,
        working=working,
        micro_batch=micro,
        arguments=arguments,
        model=model,
        turns=TrainedTurns(turns, run.reasoning),
        adapter=lora_config(settings, type(model).__name__),
        callbacks=[StopOnNonFinite(settings), ProgressLog(), resumable, *tracked],
        resumable=resumable,
    )


def _saving_folder(working: Path) -> Path:
    """Where the processes of this training write states before they are whole."""
    # The processes of a training have one parent, their launcher.
    number = os.getppid() if world_size() > 1 else os.getpid()
    return working / f".saving-{socket.gethostname()}-{number}"
