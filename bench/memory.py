"""Peak memory of real runs on a CPU, compared with what `wim size` predicts for the same settings.

    python bench/memory.py results/models/smollm2 [--only generate|train] [--allocator heap|tensors]

Each case is a process of its own. Measured is the peak of its resident memory minus what it held
after its imports; the peak is reset after loading, so that `load` and the rest are separate. Each
runs twice: with the heap of glibc as it is ("heap"), and with every tensor of 1 MB or more in a
mapping of its own ("tensors"), which shows what is allocated, without fragmentation.
Linux only.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wim.sizing.folders import model_of_folder
from wim.sizing.memory import (
    CPU,
    adapter_parameters,
    generation_memory,
    training_memory,
    weights_bytes,
)

ALLOCATORS = {"heap": {}, "tensors": {"MALLOC_MMAP_THRESHOLD_": "1000000"}}
GENERATION: list[dict[str, Any]] = [
    {"dtype": "bfloat16", "rows": 8, "words": 128, "new": 16},
    {"dtype": "bfloat16", "rows": 64, "words": 128, "new": 16},
    {"dtype": "bfloat16", "rows": 32, "words": 400, "new": 8},
    {"dtype": "bfloat16", "rows": 64, "words": 64, "new": 100},
    {"dtype": "float32", "rows": 8, "words": 128, "new": 16},
    {"dtype": "float32", "rows": 64, "words": 128, "new": 8},
]
TRAINING = [
    {"precision": "bfloat16", "pairs": 2, "length": 256},
    {"precision": "bfloat16", "pairs": 4, "length": 256},
    {"precision": "bfloat16", "pairs": 4, "length": 256, "gradient_checkpointing": True},
    {"precision": "float32", "pairs": 2, "length": 256},
    {"precision": "bfloat16", "pairs": 1, "length": 128, "lora": None},
    {"precision": "float32", "pairs": 1, "length": 128, "lora": None},
]


class Resident:
    """Resident memory of this process beyond what it held when this was created, in bytes."""

    def __init__(self) -> None:
        gc.collect()
        self.before = self._read("VmRSS")
        self.forget()

    def forget(self) -> None:
        """Reset the peak."""
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

    def peak(self) -> int:
        """The peak since then."""
        return self._read("VmHWM") - self.before

    @staticmethod
    def _read(key: str) -> int:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith(f"{key}:"))
        return int(line.split()[1]) * 1024


def generate(folder: Path, case: dict[str, Any]) -> dict[str, int]:
    """Load, and let every row generate `new` tokens."""
    import torch
    import transformers.models.llama.modeling_llama

    from wim.engines.base import Request
    from wim.engines.local.engine import LocalEngine
    from wim.settings.sampling import Sampling

    del torch, transformers
    resident = Resident()
    engine = LocalEngine(folder, case["dtype"], case["rows"])
    load = resident.peak()
    resident.forget()
    engine.chat.ends = frozenset()
    # Rows of equal length that differ from the first word on: nothing but the template is shared.
    texts = [f"{row} " + "rain " * case["words"] for row in range(case["rows"])]
    requests = [
        Request(str(row), ({"role": "user", "content": text},), seed=row)
        for row, text in enumerate(texts)
    ]
    sampling = Sampling(max_new_tokens=case["new"], temperature=0.9, top_k=50)
    prompt = max(each.prompt_tokens for each in engine.generate(requests, sampling))
    return {"load": load, "peak": resident.peak(), "prompt": prompt}


def train_case(folder: Path, case: dict[str, Any]) -> dict[str, int]:
    """Load, and take two steps on pairs that are truncated to `length` tokens."""
    import datasets
    import peft
    import pyarrow as pa
    import transformers.models.llama.modeling_llama
    from trl import DPOTrainer

    import wim.training.run.callbacks
    from wim.settings.training import TrainingSettings
    from wim.tables.files import write_table
    from wim.tables.schemas import PAIRS
    from wim.training.dpo.train import DpoTraining
    from wim.training.run.setup import Run, trainer_parts

    del datasets, peft, transformers, DPOTrainer, wim.training.run.callbacks
    resident = Resident()
    chosen = {key: value for key, value in case.items() if key not in ("pairs", "length")}
    settings = TrainingSettings(batch_size=case["pairs"], max_length=case["length"], **chosen)
    with TemporaryDirectory() as name:
        rows = [_pair(str(row), case["length"]) for row in range(2 * case["pairs"])]
        pairs = Path(name, "pairs.parquet")
        write_table(pairs, PAIRS, pa.Table.from_pylist(rows, schema=PAIRS.schema))
        state = Path(name, "state")
        run = Run(folder / "manifest.json", 0, case["pairs"], state, 1e9, Path(name))
        training = DpoTraining(
            run=run,
            settings=settings,
            upstream_settings={},
            names={},
            title="measured",
            pairs=pairs,
            reference=None,
        )
        parts = trainer_parts(
            run,
            settings,
            name=training.kind,
            base=folder,
            open_model=training.open_model,
            working=state,
            first_step=0,
            is_awaited=lambda: False,
        )
        training.train(training.make_trainer(parts), parts, None)
    return {"peak": resident.peak()}


def _pair(name: str, words: int) -> dict[str, Any]:
    from wim.tables.schemas import PAIRS

    # One completion is truncated and the other is padded, as in most batches.
    texts = {"prompt": "rain " * 30, "chosen": "hill " * words, "rejected": "hill " * (words // 2)}
    kinds = {"string": name, "double": 0.0}
    row: dict[str, Any] = {
        field.name: None if field.nullable else kinds.get(str(field.type), 0)
        for field in PAIRS.schema
    }
    for column, text in texts.items():
        role = "user" if column == "prompt" else "assistant"
        row[column] = [{"role": role, "content": text}]
    return row | {"split": "train"}


def measured(folder: Path, kind: str, case: dict[str, Any], allocator: str) -> dict[str, int]:
    """Measure a case in a process of its own."""
    command = [sys.executable, __file__, str(folder), "--case", json.dumps([kind, case])]
    environment = os.environ | ALLOCATORS[allocator]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{kind} {case} failed:\n{done.stdout}{done.stderr}")
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def predicted(folder: Path, kind: str, case: dict[str, Any], allocator: str, prompt: int) -> float:
    """What the calculator predicts."""
    model = model_of_folder(folder, folder.name)
    place = CPU if allocator == "heap" else replace(CPU, spare=0.0)
    if kind == "generate":
        return generation_memory(
            model, case["rows"], prompt, case["new"], case["dtype"], place=place
        ).total
    adapter = adapter_parameters(model, 16, "all-linear") if case.get("lora", True) else None
    return training_memory(
        model,
        2 * case["pairs"],
        case["length"],
        case["precision"] == "bfloat16",
        adapter,
        checkpointing=case.get("gradient_checkpointing", False),
        place=place,
    ).total


def show(name: str, case: dict[str, Any], allocator: str, said: float, found: float) -> None:
    """A line of the table, in MB."""
    settings = ", ".join(f"{key} {value}" for key, value in case.items())
    print(
        f"| {name}: {settings} | {allocator} | {said / 1e6:.0f} | {found / 1e6:.0f} "
        f"| {said / found:.2f} |",
        flush=True,
    )


def main() -> None:
    """Measure every case and print predicted, measured and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="a staged model's folder")
    parser.add_argument("--only", choices=("generate", "train"))
    parser.add_argument("--allocator", choices=ALLOCATORS, action="append")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        kind, case = options.case
        print(json.dumps({"generate": generate, "train": train_case}[kind](options.model, case)))
        return
    cases = [("generate", case) for case in GENERATION] + [("train", case) for case in TRAINING]
    model = model_of_folder(options.model, options.model.name)
    print("| case | allocator | predicted MB | measured MB | ratio |\n|---|---|---:|---:|---:|")
    for allocator in options.allocator or ALLOCATORS:
        for kind, case in cases:
            if options.only in (None, kind):
                found = measured(options.model, kind, case, allocator)
                said = predicted(options.model, kind, case, allocator, found.get("prompt", 0))
                show(kind, case, allocator, said, found["peak"])
                # In the file's own precision, pages are not read before they are needed.
                if kind == "generate" and case["dtype"] != model.file_dtype:
                    said = model.file_bytes + weights_bytes(model, case["dtype"]) + CPU.context
                    show("load", case, allocator, said, found["load"])


if __name__ == "__main__":
    main()
