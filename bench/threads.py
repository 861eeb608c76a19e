"""Waiting threads: how OpenMP's settings change a job's speed, alone and beside other jobs.

    python bench/threads.py [--seconds 4] [--jobs 1 3] [--threads 2] [--rounds 2]

Each job is a process of so many threads that trains a small network, or generates with a small
language model made from a configuration. Its settings are tried in turn, in each round: OpenMP's
own, in which a thread that waits spins, and those in which it sleeps at once. Prints steps a second
of one job, the mean of those that ran at a time, and its ratio to OpenMP's own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

SETTINGS: dict[str, dict[str, str]] = {
    "OpenMP's own": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=0": {"GOMP_SPINCOUNT": "0"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
}
WORK = ("training", "generation")


def steps_a_second(work: str, start: float, seconds: float) -> float:
    """How many steps this process makes in a second, from a time on."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        **{"vocab_size": 4096, "hidden_size": 256, "intermediate_size": 768},
        **{"num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4},
    )
    model = LlamaForCausalLM(config)
    tokens = torch.randint(0, 4096, (8, 64))
    optimizer = torch.optim.AdamW(model.parameters())

    def train() -> None:
        model(tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def generate() -> None:
        with torch.inference_mode():
            model(tokens[:, :1])

    step = train if work == "training" else generate
    step()
    time.sleep(max(0.0, start - time.time()))
    made, end = 0, time.time() + seconds
    while time.time() < end:
        step()
        made += 1
    return made / seconds


def measured(work: str, jobs: int, setting: dict[str, str], options: argparse.Namespace) -> float:
    """The mean steps a second of jobs that run at a time."""
    environment = {name: value for name, value in os.environ.items() if "OMP" not in name}
    environment |= {"OMP_NUM_THREADS": str(options.threads), **setting}
    start = time.time() + 8 + 2 * jobs
    command = [sys.executable, __file__, "--work", work, "--start", str(start)]
    running = [
        subprocess.Popen(
            [*command, "--seconds", str(options.seconds)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(jobs)
    ]
    return statistics.mean(float(each.communicate()[0]) for each in running)


def main() -> None:
    """Print a line for each kind of work and number of jobs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(steps_a_second(options.work, options.start, options.seconds))
        return
    for work in WORK:
        for jobs in options.jobs:
            found: dict[str, list[float]] = {name: [] for name in SETTINGS}
            for _ in range(options.rounds):
                for name, setting in SETTINGS.items():
                    found[name].append(measured(work, jobs, setting, options))
            print(f"{work}, {jobs} jobs of {options.threads} threads:")
            own = statistics.median(found["OpenMP's own"])
            for name, rates in found.items():
                rate = statistics.median(rates)
                print(f"  {name:26} {rate:8.1f} steps/s  {rate / own:5.2f}  of {rates}", flush=True)


if __name__ == "__main__":
    main()
