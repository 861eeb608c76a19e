"""What a training is told, and what its trainer is made with, whatever it trains."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.engines.local.loading import bits_and_bytes
from wim.errors import UserError
from wim.settings.optimization import OptimizationSettings, Parallel
from wim.settings.precision import Quantization
from wim.training.run.processes import world_size
from wim.training.run.sharding import sharding_arguments
from wim.training.run.steps import accumulation_steps, autocast_bf16
from wim.training.run.weights import OpenModel, lora_config

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """Where a training starts from and goes to.

    manifest: of the model. store: where the trainer saves itself. folder: the checkpoint's.
    per_device: rows of a forward pass. scratch: see wim.models.node_copy.local_copy. logs: folder of
    TensorBoard's event files, and of what the trackers named in `tracking` write. quantization: how
    the model's weights are held below adapters (QLoRA); the merged weights are those of the model as
    it is. parallel: how several GPUs share a training.
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
    parallel: Parallel = "ddp"

    @property
    def sharded(self) -> bool:
        """Whether several processes share the weights out."""
        return self.parallel == "fsdp" and world_size() > 1


@dataclass(frozen=True)
class Prepared:
    """What a trainer of any kind is made with; micro_batch: rows of a forward pass."""

    name: str
    micro_batch: int
    arguments: dict[str, Any]
    parts: dict[str, Any]

    def trainer(
        self,
        kinds: tuple[type, type],
        splits: "tuple[Dataset, Dataset]",
        config: Mapping[str, Any],
        **own: Any,
    ) -> Any:
        """A TRL trainer.

        kinds: its class and that of its arguments. splits: to train on and held out. config, own:
        what the trainer's arguments and the trainer itself take besides what all do.
        """
        from transformers.trainer_utils import IntervalStrategy

        make, arguments = kinds
        train, held_out = splits
        trainer = make(
            args=arguments(
                **self.arguments, eval_strategy="epoch" if len(held_out) else "no", **config
            ),
            train_dataset=train,
            eval_dataset=held_out if len(held_out) else None,
            **self.parts,
            **own,
        )
        kept = [len(trainer.train_dataset), len(trainer.eval_dataset or [])]
        logger.info(
            "%s: %d rows, %d held out, batches of %d x %d x %d",
            *(self.name, *kept, world_size()),
            *(trainer.args.gradient_accumulation_steps, self.micro_batch),
        )
        if left_out := len(train) + len(held_out) - sum(kept):
            logger.warning("%s: %d rows cannot be trained on", self.name, left_out)
        if not kept[0]:
            raise UserError(
                f"{self.name}: no row to train on fits into max_length {trainer.args.max_length}; "
                "raise it."
            )
        if not kept[1]:
            trainer.args.eval_strategy = IntervalStrategy.NO
        return trainer


def prepare(
    run: Run,
    settings: OptimizationSettings,
    name: str,
    opened: Path,
    open_model: OpenModel,
    working: Path,
) -> tuple[Prepared, Any]:
    """What the trainer is made with, and the callback that saves it."""
    import torch
    from transformers import AutoTokenizer, set_seed

    from wim.training.records.tracking import trackers
    from wim.training.run.callbacks import Finite, ProgressLog, Resumable, last_saved

    saved = last_saved(working)
    step = int(saved.name.rpartition("-")[2]) if saved else 0
    tracked = trackers(run.logs, run.tracking, step) if run.logs else []
    half = autocast_bf16(settings.precision)
    # Frozen weights need no more than the precision they are multiplied in; adapters stay float32.
    dtype = torch.bfloat16 if half and settings.lora else torch.float32
    micro, accumulation = accumulation_steps(settings.batch_size, run.per_device, world_size())
    resumable = Resumable(run.save_seconds)
    # A new head is drawn at random.
    set_seed(run.seed)
    packed = {}
    if run.quantization != "none":
        packed = {"quantization_config": bits_and_bytes(run.quantization, dtype)}
    model = open_model(opened, dtype=dtype, **packed)
    tokenizer = AutoTokenizer.from_pretrained(opened)
    if tokenizer.chat_template is None:
        raise UserError(
            f"{run.manifest}: the model has no chat template, which turns messages into its text; "
            "take a chat or instruct model, or add chat_template.jinja to its folder."
        )
    arguments = {
        "output_dir": str(working),
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
        "save_total_limit": 2,
        "report_to": "none",
        "run_name": "-".join(run.logs.parts[-2:]) if run.logs else None,
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    if run.sharded:
        arguments |= sharding_arguments()
    parts = {
        "model": model,
        "processing_class": tokenizer,
        "peft_config": lora_config(settings, type(model).__name__),
        "callbacks": [Finite(settings), ProgressLog(), resumable, *tracked],
    }
    return Prepared(name, micro, arguments, parts), resumable
