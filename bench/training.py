"""DPO in pairs a second and memory: plain TRL, then the parts of the workflow's trainer one by one.

    python bench/training.py --pairs results/pairs/wim/round1.parquet --model results/models/smollm2

Every run is a process of its own on the same pairs, model, seed and batches, LoRA on all linear
layers; a round executes all runs one after the other. Time is that of training with the reference's
log-probabilities, without imports and loading: wall seconds, and CPU seconds, which other programs
on the machine disturb less. Memory is the process's peak, including loading.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RUNS = {
    "TRL, float32": (),
    "TRL, bfloat16 autocast": ("bf16",),
    "frozen weights in bfloat16": ("bf16", "base"),
    "+ head on completions alone": ("bf16", "base", "head"),
    "+ sorted by length": ("bf16", "base", "head", "length"),
    "+ one pair at a time, not checkpointed": ("bf16", "base", "head", "length", "one"),
    "+ reference stored, first arm": ("bf16", "base", "head", "length", "one", "store"),
    "+ reference known, next arms": ("bf16", "base", "head", "length", "one", "store", "known"),
    "all parts, float32, first arm": ("head", "length", "one", "store"),
    "all parts, float32, next arms": ("head", "length", "one", "store", "known"),
}


def one_run(options: dict[str, Any]) -> dict[str, Any]:
    """Train once and report what it took."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, set_seed
    from trl import DPOConfig, DPOTrainer

    from wim.engines.chat_format import ChatFormat
    from wim.engines.turn_format import TurnFormat
    from wim.settings.training import TrainingSettings
    from wim.training.dpo.batches import PAD_TO
    from wim.training.dpo.reference import ReferenceStore
    from wim.training.dpo.trainer import PreferenceTrainer
    from wim.training.preference_data import pair_tokens, preference_splits
    from wim.training.turns import TrainedTurns

    parts, folder = set(options["parts"]), Path(options["folder"])
    micro = 1 if "one" in parts else options["micro"]

    class WithParts(PreferenceTrainer):
        def _score_completions_alone(self) -> None:
            if "head" in parts:
                super()._score_completions_alone()

        def _batches_matter(self) -> bool:
            return "length" not in parts

    set_seed(0)
    turns = TrainedTurns(TurnFormat(ChatFormat.of_folder(Path(options["model"]))))

    def columns(row: Mapping[str, Any]) -> dict[str, Any]:
        if parts <= {"bf16"}:
            return {name: row[name] for name in ("prompt", "chosen", "rejected")}
        return pair_tokens(row, turns)

    dataset, _ = preference_splits(Path(options["pairs"]), columns)
    dataset = dataset.select(range(min(options["count"], len(dataset))))
    dtype = torch.bfloat16 if "base" in parts else torch.float32
    arguments = {
        "model": AutoModelForCausalLM.from_pretrained(options["model"], dtype=dtype),
        "processing_class": AutoTokenizer.from_pretrained(options["model"]),
        "args": DPOConfig(
            output_dir=str(folder / "trainer"),
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=options["batch"] // micro,
            learning_rate=1e-4,
            num_train_epochs=options["epochs"],
            max_length=512,
            bf16="bf16" in parts,
            gradient_checkpointing="one" not in parts,
            precompute_ref_log_probs="store" in parts,
            pad_to_multiple_of=PAD_TO if "head" in parts else None,
            use_cpu=not torch.cuda.is_available(),
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        "train_dataset": dataset,
        "peft_config": LoraConfig(
            task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"
        ),
    }
    wall, cpu = time.perf_counter(), time.process_time()
    if parts <= {"bf16"}:
        trainer = DPOTrainer(**arguments)
    else:
        store = ReferenceStore(folder / "reference", "bench")
        trainer = WithParts(TrainingSettings(), store if "store" in parts else None, **arguments)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    seen = options["epochs"] * len(dataset)
    return {
        "pairs": len(dataset),
        "wall": seen / wall,
        "cpu": seen / cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "losses": [row["loss"] for row in trainer.state.log_history if "loss" in row],
    }


def main() -> None:
    """Execute the runs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--micro", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=RUNS, default=list(RUNS))
    options = parser.parse_args()
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for name in options.only:
                of_run = {
                    **{key: value for key, value in vars(options).items() if key != "only"},
                    **{"pairs": str(options.pairs), "model": str(options.model)},
                    "parts": RUNS[name],
                    "folder": f"{folder}/{number}/{'bf16' if 'bf16' in RUNS[name] else 'fp32'}",
                }
                run = subprocess.run(
                    [sys.executable, __file__, "--one", json.dumps(of_run)],
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                if run.returncode:
                    sys.exit(run.stderr)
                found[name].append(json.loads(run.stdout.splitlines()[-1]))
                print(name, found[name][-1], file=sys.stderr, flush=True)
    _print(found)


def _print(found: dict[str, list[dict[str, Any]]]) -> None:
    first = next(iter(found.values()))
    print("| run | pairs/s | times the first | pairs/s of CPU time | times | peak MB | losses |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in found.items():
        wall, cpu, memory = (
            statistics.median(run[key] for run in runs) for key in ("wall", "cpu", "megabytes")
        )
        ratios = (
            statistics.median(run[key] / one[key] for run, one in zip(runs, first, strict=True))
            for key in ("wall", "cpu")
        )
        by_wall, by_cpu = ratios
        losses = ", ".join(f"{loss:.4f}" for loss in runs[0]["losses"])
        print(
            f"| {name} | {wall:.3f} | {by_wall:.2f} | {cpu:.3f} | {by_cpu:.2f} "
            f"| {memory:.0f} | {losses} |"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one_run(json.loads(sys.argv[2]))))
    else:
        main()
