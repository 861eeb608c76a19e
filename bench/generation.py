"""Generation: this project's engine against plain transformers, alternating, on the same prompts.

    python bench/generation.py results/models/smollm2 [--prompts 48] [--rounds 2]
    python bench/generation.py results/models/smollm2 --batch-size 16 --new-tokens 256
    python bench/generation.py results/models/smollm2 --vllm .venv-vllm/bin/python

Plain is what a first script does: `generate` in float32, batches of 8, in the file's order, a
global seed. Ours runs batch by batch, and continuously, where waiting rows replace finished ones
(the default on a GPU); the two differ only if there are more rows than a batch has. vLLM (`make
vllm-environment`) has all rows at a time, in a process that waits while the others run. Prints the
rate of the machine's products, of the shape of a step's largest, and useful
tokens a second of each round (tokens up to and with the end token; the wall time is that of
generating, without loading), the passes of one token a row that ours took, and the ratios of the medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from wim.engines.base import Request
from wim.engines.local.decoder import Decoder
from wim.engines.local.engine import LocalEngine
from wim.settings.sampling import Sampling

PROMPTS = Path(__file__).parents[1] / "config/prompts/demo.jsonl"
SAMPLES = 2


def requests_of(count: int) -> list[Request]:
    """Two requests for each of the first prompts, in the file's order."""
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()[:count]
    prompts = [json.loads(line)["prompt"] for line in lines]
    return [
        Request(f"{place}-{sample}", ({"role": "user", "content": text},), seed=place * 10 + sample)
        for place, text in enumerate(prompts)
        for sample in range(SAMPLES)
    ]


class Plain:
    """transformers' generate in float32."""

    def __init__(self, folder: Path, batch_size: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.batch_size = batch_size

    def tokens(self, requests: list[Request], sampling: Sampling) -> int:
        """Generate, and count the useful tokens."""
        import torch

        torch.manual_seed(0)
        end, count = self.tokenizer.eos_token_id, 0
        texts = [
            self.tokenizer.apply_chat_template(
                list(request.messages), tokenize=False, add_generation_prompt=True
            )
            for request in requests
        ]
        for start in range(0, len(texts), self.batch_size):
            batch = self.tokenizer(
                texts[start : start + self.batch_size], return_tensors="pt", padding=True
            )
            with torch.inference_mode():
                output = self.model.generate(
                    **batch,
                    do_sample=True,
                    temperature=sampling.temperature,
                    top_k=sampling.top_k,
                    max_new_tokens=sampling.max_new_tokens,
                    pad_token_id=end,
                )
            for row in output[:, batch["input_ids"].shape[1] :].tolist():
                count += row.index(end) + 1 if end in row else len(row)
        return count


class Ours:
    """The local engine; `passes` counts the steps of its last run."""

    def __init__(self, folder: Path, batch_size: int, continuous: bool) -> None:
        self.engine = LocalEngine(folder, "auto", batch_size, continuous=continuous)
        self.passes = 0
        prefilled = self.engine._prefilled

        def counted(*arguments: Any) -> Decoder:
            decoder = prefilled(*arguments)
            advance = decoder.advance

            def step(tokens: Any) -> None:
                self.passes += 1
                advance(tokens)

            decoder.advance = step  # type: ignore[method-assign]
            return decoder

        self.engine._prefilled = counted  # type: ignore[method-assign, assignment]

    def tokens(self, requests: list[Request], sampling: Sampling) -> int:
        """Generate, and count the useful tokens."""
        self.passes = 0
        answers = self.engine.generate(requests, sampling)
        return sum(answer.completion_tokens for answer in answers)


class Vllm:
    """vLLM in float32, in a process of its own environment."""

    PROGRAM = """
import json, sys, time
from vllm import LLM, SamplingParams

folder, rows = sys.argv[1], int(sys.argv[2])
model = LLM(folder, dtype="float32", max_num_seqs=rows, max_model_len=1024, enable_prefix_caching=True)
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    sampling = SamplingParams(
        temperature=asked["temperature"], top_k=asked["top_k"], max_tokens=asked["most"]
    )
    start = time.perf_counter()
    found = model.chat(asked["conversations"], sampling, use_tqdm=False)
    seconds = time.perf_counter() - start
    count = sum(len(each.outputs[0].token_ids) for each in found)
    print("found", json.dumps([count, seconds]), flush=True)
"""

    def __init__(self, folder: Path, python: Path, rows: int) -> None:
        environment = os.environ | {
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_CPU_KVCACHE_SPACE": "2",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_LOGGING_LEVEL": "ERROR",
            "HF_HUB_OFFLINE": "1",
        }
        environment.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
        # Its libraries have other settings than those of this process.
        for name in ("MKL_CBWR", "TORCHDYNAMO_DISABLE", "PYTHONPATH"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [python, "-c", self.PROGRAM, folder, str(rows)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self._line("ready")

    def tokens(self, requests: list[Request], sampling: Sampling) -> int:
        """Generate, and count the useful tokens."""
        assert self.process.stdin is not None
        asked = {
            "conversations": [list(request.messages) for request in requests],
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "most": sampling.max_new_tokens,
        }
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        count, _ = json.loads(self._line("found"))
        return int(count)

    def _line(self, name: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(name):
                return line.removeprefix(name)
        raise SystemExit(f"vLLM ended with {self.process.wait()}")


def product_rate(rows: int) -> float:
    """GFLOP/s of a product of float32 numbers: so many rows, 576 to 1,536 wide."""
    import torch

    left, right = torch.randn(rows, 576), torch.randn(1536, 576)
    rates = []
    for _ in range(20):
        start = time.perf_counter()
        torch.nn.functional.linear(left, right)
        rates.append(2e-9 * left.numel() * len(right) / (time.perf_counter() - start))
    return statistics.median(rates)


def main() -> None:
    """Measure all alternately, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="a staged model's folder")
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--new-tokens", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=96, help="of ours")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--vllm", type=Path, help="the Python of an environment that has vLLM")
    options = parser.parse_args()
    requests = requests_of(options.prompts)
    sampling = Sampling(max_new_tokens=options.new_tokens, temperature=0.9, top_k=50)
    contestants: dict[str, Plain | Ours | Vllm] = {
        "plain float32, batch 8": Plain(options.model, 8),
        "ours": Ours(options.model, options.batch_size, continuous=False),
        "ours, continuous": Ours(options.model, options.batch_size, continuous=True),
    }
    if options.vllm:
        contestants["vLLM"] = Vllm(options.model, options.vllm, options.batch_size)
    print(f"products of {options.batch_size} rows: {product_rate(options.batch_size):.0f} GFLOP/s")
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for one in contestants.values():
        one.tokens(requests[:8], Sampling(max_new_tokens=4))
    for _ in range(options.rounds):
        for name, one in contestants.items():
            start = time.perf_counter()
            count = one.tokens(requests, sampling)
            rates[name].append(count / (time.perf_counter() - start))
            passes = f", {one.passes} passes" if isinstance(one, Ours) else ""
            print(f"{name}: {count} tokens, {rates[name][-1]:.0f} tokens/s{passes}", flush=True)
    plain, ours, continuous, *others = (statistics.median(rates[name]) for name in contestants)
    print(f"ratio of medians, ours to plain: {ours / plain:.2f}")
    print(f"ratio of medians, continuous to batch by batch: {continuous / ours:.2f}")
    for vllm in others:
        print(f"ratio of medians, ours to vLLM: {max(ours, continuous) / vllm:.2f}")


if __name__ == "__main__":
    main()
