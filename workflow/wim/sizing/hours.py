"""Seconds on a GPU, from floating-point operations and bytes moved."""

from dataclasses import dataclass

from wim.settings.precision import Quantization
from wim.sizing.architecture import BYTES, Architecture
from wim.sizing.memory import cache_bytes, weights_bytes

# Seconds for the kernels of one layer to be launched, at every decoded token. Not measured here:
# 25.5 tokens/s of a 7B model of 32 layers in plain PyTorch on an A100 are 1.2 ms
# (pytorch.org/blog/accelerating-generative-ai-2), and newer GPUs with faster hosts take a third.
LAUNCH = 0.5e-3
# Of a job: interpreter, imports and CUDA, then weights from a shared disk. Assumed.
START, DISK = 60.0, 1e9


@dataclass(frozen=True)
class Gpu:
    """memory in bytes; half (dense bfloat16) and single in FLOP/s; bandwidth in bytes/s."""

    memory: float
    half: float
    single: float
    bandwidth: float


# The makers' figures, without sparsity. t4 and v100 multiply float16, not bfloat16.
GPUS = {
    "t4": Gpu(16e9, 65e12, 8.1e12, 320e9),
    "v100-16": Gpu(16e9, 125e12, 15.7e12, 900e9),
    "l4": Gpu(24e9, 121e12, 30.3e12, 300e9),
    "a10": Gpu(24e9, 125e12, 31.2e12, 600e9),
    "a100-40": Gpu(40e9, 312e12, 19.5e12, 1555e9),
    "l40s": Gpu(48e9, 362e12, 91.6e12, 864e9),
    "a100-80": Gpu(80e9, 312e12, 19.5e12, 2039e9),
    "h100-80": Gpu(80e9, 989e12, 67e12, 3350e9),
    "h200": Gpu(141e9, 989e12, 67e12, 4800e9),
}


@dataclass(frozen=True)
class Speed:
    """A GPU, and the share of its published figures that is reached."""

    gpu: Gpu
    efficiency: float

    def seconds(self, operations: float, moved: float = 0.0, half: bool = True) -> float:
        """Whichever takes longer, to compute or to move bytes."""
        peak = self.gpu.half if half else self.gpu.single
        return max(operations / peak, moved / self.gpu.bandwidth) / self.efficiency


def reading_seconds(
    model: Architecture, tokens: float, dtype: str, speed: Speed, passes: int = 1
) -> float:
    """Forward passes over tokens, of all passes together: 2 operations a parameter and token."""
    computing = speed.seconds(2.0 * model.multiplied * tokens, half=BYTES[dtype] == 2)
    return max(computing, passes * LAUNCH * model.layers)


def decoding_seconds(
    model: Architecture,
    rows: int,
    batch: int,
    prompt: float,
    new: int,
    dtype: str,
    quantization: Quantization,
    speed: Speed,
) -> float:
    """`new` tokens for each of `rows` prompts, in batches; all rows are assumed to continue to the end.

    A step reads the weights and, for each row, its keys and values (at their mean length).
    """
    if not rows:
        return 0.0
    size = min(batch, rows)
    moved = _weights_moved(model, size, dtype, quantization)
    moved += cache_bytes(model, size, round(prompt + new / 2), dtype)
    step = speed.seconds(2.0 * model.multiplied * size, moved, half=BYTES[dtype] == 2)
    return -(-rows // size) * new * max(step, LAUNCH * model.layers)


def _weights_moved(model: Architecture, rows: int, dtype: str, quantization: Quantization) -> float:
    """Bytes of weights that a step reads: of experts those that some row goes through.

    Weights of 4 bits are read, written as they are multiplied, and read again.
    """
    moved = weights_bytes(model, dtype, quantization)
    if quantization == "nf4":
        moved += 2 * BYTES[dtype] * model.packable
    if not model.in_experts:
        return moved
    untouched = (1 - model.experts_used / model.experts) ** rows
    return moved * (1 - untouched * model.in_experts / model.parameters)


def training_seconds(
    model: Architecture,
    tokens: float,
    held_out: float,
    adapted: bool,
    checkpointing: bool,
    half: bool,
    speed: Speed,
    reference: bool = True,
) -> float:
    """Training on N tokens, and measuring on those held out.

    Operations a parameter and token: forward 2, backward 2 for activations and, unless the
    weights are frozen, 2 for weights; the reference's forward 2, as in DPO; checkpointing runs the
    forward again.
    """
    forward = 4 if reference else 2
    each = forward + (2 if adapted else 4) + (2 if checkpointing else 0)
    return speed.seconds(model.multiplied * (each * tokens + forward * held_out), half=half)


def start_seconds(jobs: int, file_bytes: float) -> float:
    """What jobs take before their first row."""
    return jobs * (START + file_bytes / DISK)
