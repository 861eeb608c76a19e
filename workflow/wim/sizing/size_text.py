"""What `wim size` prints of sized stages: tables, lines for a profile and assumptions, or JSON."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec

from wim.prompts.expected import CHARACTERS, Prompts
from wim.sizing.architecture import Architecture
from wim.sizing.hours import DISK, GPUS, LAUNCH, START
from wim.sizing.memory import GPU
from wim.sizing.stage import CHAT, PROCESS, Assumed, Stage
from wim.sizing.stages import TEMPLATE

# Sizes of GPUs, in GB.
COMMON = (16, 24, 40, 80)
# Factors on what is expected, for what is requested: memory of the host, and time.
HOST_MARGIN, TIME_MARGIN = 1.2, 2


def print_sizes(stages: Sequence[Stage], notes: Sequence[str], assumed: Assumed) -> None:
    """Print memory, work, the lines for a profile, and what is assumed."""
    _print_table(f"Memory of the GPU, in GB; fits on GPUs of {COMMON} GB", *_memory(stages))
    _print_table(f"Work, on {assumed.gpu}", *_work(stages, assumed.gpu))
    print("Lines for profiles/slurm/profile.yaml, under what is there for the rule:\n")
    print("\n".join(profile_lines(stages, assumed)))
    print("\nAssumed:", *(f"- {note}" for note in notes), sep="\n")


def _memory(stages: Sequence[Stage]) -> tuple[list[str], list[list[str]]]:
    parts = ("weights", "cache", "activations", "training", "spare", "context", "total")
    rows = []
    for stage in stages:
        fits = [str(size) for size in COMMON if stage.memory.total <= size * 1e9]
        held = [f"{getattr(stage.memory, part) / 1e9:.2f}" for part in parts]
        rows.append([_name(stage), stage.model, str(stage.batch), *held, " ".join(fits) or "none"])
    return ["stage", "model", "batch", *parts, "fits on"], rows


def _work(stages: Sequence[Stage], gpu: str) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            _name(stage),
            f"{stage.rows:,}",
            str(stage.jobs),
            f"{stage.hours:.2f}",
            f"{stage.host / 1e9:.1f}",
            str(stage.largest or "none"),
        ]
        for stage in stages
    ]
    total = ["all", "", "", f"{sum(stage.hours for stage in stages):.2f}", "", ""]
    columns = ["stage", "rows", "jobs", "GPU-hours", "host GB", f"largest batch on {gpu}"]
    return columns, [*rows, total]


def _name(stage: Stage) -> str:
    return f"{stage.rule} ({stage.of})" if stage.of else stage.rule


def profile_lines(stages: Sequence[Stage], assumed: Assumed) -> Iterator[str]:
    """`set-resources` of each rule, for the judge or arm that needs most of it."""
    yield "set-resources:"
    for rule in dict.fromkeys(stage.rule for stage in stages):
        own = [stage for stage in stages if stage.rule == rule]
        need = max(stage.memory.total for stage in own) / 1e9
        host = max(stage.host for stage in own) * HOST_MARGIN
        minutes = max(stage.seconds / stage.jobs for stage in own) * TIME_MARGIN / 60
        yield f"  {rule}:  # {need:.1f} GB on the GPU in batches of {max(s.batch for s in own)}"
        yield "    gpu: 1"
        yield f"    mem_mb: {_up(host / 1e6, 1000)}"
        yield f"    runtime: {_up(minutes, 30)}"
        if need <= GPUS[assumed.gpu].memory / 1e9:
            continue
        fitting = [stage.largest for stage in own]
        if None in fitting:
            yield f"    # does not fit on {assumed.gpu} in any batch"
        else:
            yield f"    batch_size: {min(size for size in fitting if size)}"


def _up(value: float, step: int) -> int:
    """Rounded up to a multiple of `step`."""
    return int(-(-value // step)) * step


def assumptions(
    models: dict[str, Architecture], prompts: Prompts, assumed: Assumed
) -> Iterator[str]:
    """What the sizes are based on, in sentences."""
    gpu = GPUS[assumed.gpu]
    yield (
        f"{assumed.gpu}: {gpu.memory / 1e9:.0f} GB, {gpu.half / 1e12:.0f} TFLOP/s in bfloat16, "
        f"{gpu.single / 1e12:.1f} in float32, {gpu.bandwidth / 1e9:.0f} GB/s, as published; "
        f"{assumed.efficiency:.0%} of that is reached, and one layer's kernels take at least "
        f"{LAUNCH * 1e3:.1f} ms a decoded token"
    )
    yield (
        f"{prompts.count:,} prompts ({prompts.known_from}) of {prompts.mean:.0f} tokens on average, "
        f"{prompts.longest} the longest, at {CHARACTERS} characters a token; {CHAT} tokens of chat "
        f"template, {TEMPLATE} of the judge's"
    )
    yield (
        "every completion and critique continues to max_new_tokens, every context gives a pair, "
        "nothing is in the row store, one round: upper bounds, unless a judge is queried again"
    )
    yield (
        f"the allocator holds {GPU.spare:.0%} more than cache and activations, CUDA "
        f"{GPU.context / 1e9:.2f} GB; GB are 10^9 bytes"
    )
    yield (
        f"a job starts in {START:.0f} s and reads weights at {DISK / 1e9:.0f} GB/s; its process "
        f"takes {PROCESS / 1e9:.0f} GB of the host; the lines request {HOST_MARGIN:g} times the "
        f"host's memory and {TIME_MARGIN} times the time"
    )
    for model in dict.fromkeys(models.values()):
        heads = f"{model.heads} heads, {model.kv_heads} of keys and values"
        yield (
            f"{model.name}: {model.parameters / 1e9:.3g}e9 parameters, {model.layers} layers of "
            f"{model.hidden}, MLP of {model.intermediate}, {heads}, vocabulary of "
            f"{model.vocabulary}" + (f", {model.experts} experts" if model.experts > 1 else "")
        )


def as_json(stages: Sequence[Stage], notes: Sequence[str], assumed: Assumed) -> dict[str, object]:
    """Sizes, lines for a profile and assumptions, for a program to read."""
    return {
        "card": assumed.gpu,
        "efficiency": assumed.efficiency,
        "quantization": assumed.quantization,
        "stages": [
            {
                **asdict(stage),
                "memory": {**asdict(stage.memory), "total": stage.memory.total},
                "gpu_hours": stage.hours,
                "fits_on_gb": [size for size in COMMON if stage.memory.total <= size * 1e9],
            }
            for stage in stages
        ],
        "profile": list(profile_lines(stages, assumed)),
        "assumed": list(notes),
    }


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """With rich on a terminal, where it is installed; else columns as wide as what is in them."""
    if sys.stdout.isatty() and find_spec("rich"):
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        for place, column in enumerate(columns):
            table.add_column(column, justify="right" if place else "left")
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    print(f"{title}\n")
    for first, *others in (columns, *rows):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    print()
