"""A stage that is sized: what it needs of a GPU, of its host, and of time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wim.dag.resources import BATCH_SIZES
from wim.prompts.expected import Prompts
from wim.settings.models import thinking_room
from wim.settings.precision import Quantization
from wim.settings.sampling import Sampling
from wim.sizing.architecture import Architecture
from wim.sizing.hours import GPUS, Speed, start_seconds
from wim.sizing.memory import Memory

if TYPE_CHECKING:
    from wim.settings.config import Config

# Tokens of the chat template.
CHAT = 40
# Bytes of a process with torch and CUDA on the host.
PROCESS = 4e9
LARGEST = 1024


@dataclass(frozen=True)
class Assumed:
    """What the user says of the machine; quantization: None as the configuration has it."""

    gpu: str = "a100-80"
    efficiency: float = 0.4
    quantization: Quantization | None = None
    batches: Mapping[str, int] = field(default_factory=lambda: BATCH_SIZES)

    @property
    def speed(self) -> Speed:
        """The GPU at the efficiency."""
        return Speed(GPUS[self.gpu], self.efficiency)


@dataclass(frozen=True)
class Sizing:
    """What the stages of a configuration are sized with. models: those that run here, by name."""

    config: "Config"
    models: Mapping[str, Architecture]
    prompts: Prompts
    assumed: Assumed

    def model(self, name: str) -> Architecture | None:
        """What a name of `models` or of a training comes from; None where an API runs it."""
        return self.models.get(self.config.origin_of(name))

    def quantization(self, name: str) -> Quantization:
        """How a model's weights are packed."""
        return self.assumed.quantization or self.config.source_of(name).quantization

    def new_tokens(self, name: str, sampling: Sampling) -> int:
        """The most tokens that a model writes: of its answer, and of reasoning where it is to."""
        return sampling.max_new_tokens + thinking_room(self.config.source_of(name).thinking)

    def dtype(self, name: str) -> str:
        """The precision of a model that generates or judges."""
        dtype = self.config.source_of(name).dtype
        return "bfloat16" if dtype == "auto" else dtype


@dataclass(frozen=True)
class Stage:
    """A rule with one judge or arm.

    batch: rows, texts or pairs at once. largest: the greatest power of two of them that fits on
    the GPU, None if one is too many. host: bytes of main memory. rows: of all jobs together.
    """

    rule: str
    of: str
    model: str
    batch: int
    largest: int | None
    memory: Memory
    host: float
    rows: int
    jobs: int
    seconds: float

    @property
    def hours(self) -> float:
        """GPU-hours of all jobs."""
        return self.seconds / 3600


def stage_of(
    rule: str,
    of: str,
    model: Architecture,
    batch: int,
    memory: Callable[[int], Memory],
    loaded: float,
    rows: int,
    jobs: int,
    seconds: float,
    assumed: Assumed,
    most: int = LARGEST,
) -> Stage:
    """The stage, and the largest batch, `most` at most, whose memory the GPU has.

    loaded: bytes on the host.
    """
    room = GPUS[assumed.gpu].memory
    fitting = [size for size in _powers_of_two(most) if memory(size).total <= room]
    return Stage(
        rule,
        of,
        model.name,
        batch,
        max(fitting, default=None),
        memory(batch),
        PROCESS + loaded,
        rows,
        jobs,
        seconds + start_seconds(jobs, model.file_bytes),
    )


def _powers_of_two(most: int) -> list[int]:
    return [2**power for power in range(most.bit_length())]


def share(rows: int, jobs: int) -> int:
    """Rows of one job."""
    return max(1, -(-rows // jobs))
