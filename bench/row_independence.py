"""How many completions stay the same, to the last character, when their batch changes.

    python bench/row_independence.py results/models/smollm2 [--dtype bfloat16]

Generates one completion for each of 48 prompts, greedy and sampled, with batches of 4, with batches
of 32, and shard by shard (8 shards, batches of 32), and counts the completions equal to the first.
"""

import argparse
import json
from pathlib import Path

from wim.engines.base import Request
from wim.engines.local.engine import LocalEngine
from wim.prompts.splits import shard_of
from wim.provenance.digest import row_id, seed_of
from wim.settings.sampling import Sampling

PROMPTS = Path(__file__).parents[1] / "config/prompts/demo.jsonl"
SHARDS = 8


def requests_of(count: int) -> list[Request]:
    """A request for each of the first prompts, with its own seed."""
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()[:count]
    texts = [json.loads(line)["prompt"] for line in lines]
    return [
        Request(row_id(text), ({"role": "user", "content": text},), seed_of(0, text))
        for text in texts
    ]


def completions(engine: LocalEngine, requests: list[Request], sampling: Sampling) -> dict[str, str]:
    """The texts by request."""
    return {answer.key: answer.text for answer in engine.generate(requests, sampling)}


def agreement(
    folder: Path, dtype: str, temperature: float, count: int = 48, new_tokens: int = 24
) -> dict[str, int]:
    """How many rows stay equal, by what was changed."""
    requests = requests_of(count)
    sampling = Sampling(max_new_tokens=new_tokens, temperature=temperature, top_k=50)
    engine = LocalEngine(folder, dtype, 4)
    first = completions(engine, requests, sampling)
    engine.batch_size = 32
    batched = completions(engine, requests, sampling)
    sharded: dict[str, str] = {}
    for shard in range(SHARDS):
        own = [request for request in requests if shard_of(request.key, SHARDS) == shard]
        sharded |= completions(engine, own, sampling)
    return {
        "batch 4 and 32": sum(first[key] == batched[key] for key in first),
        "1 and 8 shards": sum(batched[key] == sharded[key] for key in first),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="a staged model's folder")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--new-tokens", type=int, default=24)
    options = parser.parse_args()
    for name, temperature in (("greedy", 0.0), ("sampled", 0.9)):
        found = agreement(options.model, options.dtype, temperature, new_tokens=options.new_tokens)
        for change, equal in found.items():
            print(f"{options.dtype}, {name}, {change}: {equal} of 48 rows equal", flush=True)


if __name__ == "__main__":
    main()
