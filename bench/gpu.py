"""What only a GPU can show: exactness, speed and memory of every part of the library that runs on one.

    python bench/gpu.py --output gpu.json                  # all sections, about 8 minutes
    python bench/gpu.py --only exactness dpo               # some of them
    python bench/gpu.py --tiny                             # in small, on a CPU too

Models are made from configurations with random weights, so nothing is downloaded. Each section runs
in a process of its own under a time limit, so that one that fails or hangs leaves the others alone;
sections that time something run alone, the others side by side. A section prints figures, and
checks that hold or fail. Exit status 1: a check failed, or a section did not end.

Without a GPU, what compares a GPU with a CPU compares the CPU with itself.
"""

import argparse
import copy
import gc
import importlib.metadata
import json
import logging
import math
import multiprocessing
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

# A process that has asked CUDA for its devices can no longer be forked; NVML can be asked.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from wim.engines.base import Completion, Request
from wim.engines.local import decoder as decoding
from wim.engines.local import engine as running
from wim.engines.local.decoder import Decoder
from wim.engines.local.engine import LocalEngine
from wim.engines.local.loading import open_model
from wim.engines.local.sampling import choose_tokens, gumbel
from wim.engines.machine import fitting_precision
from wim.settings.sampling import Sampling
from wim.settings.training import TrainingSettings

logger = logging.getLogger("bench.gpu")
PACKAGES = (
    *("torch", "triton", "transformers", "tokenizers", "accelerate", "peft", "trl", "datasets"),
    *("bitsandbytes", "sentence-transformers", "pyarrow", "numpy"),
)
SPECIAL = ("<|end|>", "<|user|>", "<|assistant|>", "<|pad|>", "<|unknown|>")
END, PAD = 0, 3
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)
# Every so many words one ends an answer, so that rows end at places of their own.
ENDS_EVERY = 32
GREEDY = Sampling(temperature=0)
SAMPLED = Sampling(temperature=0.9, top_k=50)
# Two scores (nats) nearer than this may change places when sums are rounded otherwise.
NEAR = 1e-3

_SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
_WINDOW: dict[str, Any] = {**_SMALL, "sliding_window": 16}
_MIXED = {"layer_types": ["sliding_attention", "sliding_attention", "full_attention"]}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": _SMALL,
    "mistral": _WINDOW,
    "qwen2": {key: value for key, value in _SMALL.items() if key != "head_dim"},
    "qwen3": _SMALL,
    "gemma": _SMALL,
    "gemma2": {**_WINDOW, "query_pre_attn_scalar": 16},
    "gemma3_text": {**_WINDOW, **_MIXED, "query_pre_attn_scalar": 16},
    "phi3": _SMALL,
    "phi": {key: value for key, value in _SMALL.items() if key != "head_dim"},
    "olmo2": _SMALL,
    "smollm3": _SMALL,
    "cohere": _SMALL,
    "granite": _SMALL,
    "gpt2": {"n_embd": 64, "n_layer": 3, "n_head": 4},
    "gpt_neox": {**_SMALL, "rotary_pct": 0.5},
    "opt": {**_SMALL, "ffn_dim": 128, "word_embed_proj_dim": 64},
    "mixtral": {**_SMALL, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gpt_oss": {**_WINDOW, **_MIXED, "num_local_experts": 4},
}
CONTRASTIVE = ("llama", "gpt2", "qwen3")


@dataclass(frozen=True)
class Size:
    """How much each section does.

    words: vocabulary of small models. rows, tokens: answers that are compared, and their longest.
    big: configuration of the model that is timed. batches: rows at a time in the timed runs;
    prompt: words of their prompts. new: longest answer there. pairs, micro, length: of timed DPO;
    pairs of a step, of a forward pass, and the longest sequence. steps: of it. patience: the sections'
    time limits are longer by this factor.
    """

    words: int = 512
    rows: int = 12
    tokens: int = 32
    big: dict[str, Any] = field(
        default_factory=lambda: {
            "vocab_size": 128_256,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "tie_word_embeddings": True,
        }
    )
    batches: tuple[int, ...] = (64, 256, 512)
    prompt: tuple[int, int] = (32, 256)
    new: int = 64
    pairs: int = 16
    micro: int = 8
    length: int = 512
    steps: int = 6
    architectures: tuple[str, ...] = tuple(ARCHITECTURES)
    patience: float = 1


FULL = Size()
TINY = Size(
    rows=3,
    tokens=6,
    big={**_SMALL, "vocab_size": 1024, "tie_word_embeddings": True},
    batches=(4,),
    prompt=(8, 24),
    new=12,
    pairs=4,
    micro=2,
    length=64,
    steps=2,
    architectures=("llama", "qwen2", "gemma3_text", "gpt2"),
    patience=10,
)


class Report:
    """A section's figures and checks, printed as they come and kept in a file, a line each."""

    def __init__(self, section: str, path: Path) -> None:
        self.section = section
        self.path = path

    def figure(self, name: str, /, **values: Any) -> None:
        """Report what was measured."""
        self._write({"figure": name, **values}, f"{name}: {_shown(values)}")

    def check(self, name: str, holds: bool, /, **values: Any) -> None:
        """Report whether something holds that should."""
        mark = "ok" if holds else "FAILED"
        self._write({"check": name, "holds": holds, **values}, f"{mark} {name}: {_shown(values)}")

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part of a section without which the rest goes on; an exception is a failed check."""
        try:
            yield
        except Exception as error:
            logger.exception("%s: %s", self.section, name)
            self.check(name, False, error=f"{type(error).__name__}: {error}"[:300])

    def _write(self, row: dict[str, Any], text: str) -> None:
        print(f"[{self.section}] {text}", flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _shown(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
    )


# Models, requests and pairs, all from numbers drawn here.


def device() -> str:
    """What the library computes on."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def on_cpu() -> Iterator[None]:
    """Have the library open models on the CPU."""
    with patch.object(torch.cuda, "is_available", lambda: False):
        yield


def write_tokenizer(folder: Path, words: int) -> None:
    """A tokenizer whose tokens are words, so that a text says which tokens it is made of."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    names = [*SPECIAL, *(f"w{number}" for number in range(len(SPECIAL), words))]
    vocabulary = {name: number for number, name in enumerate(names)}
    made = Tokenizer(WordLevel(vocabulary, unk_token=SPECIAL[-1]))
    made.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=SPECIAL[END],
        pad_token=SPECIAL[PAD],
        unk_token=SPECIAL[-1],
        additional_special_tokens=list(SPECIAL[1:3]),
    )
    fast.chat_template = CHAT
    fast.save_pretrained(folder)


def write_model(
    folder: Path,
    kind: str,
    values: dict[str, Any],
    dtype: Any = torch.float32,
    made_by: str = "AutoModelForCausalLM",
) -> Path:
    """A model of random weights with its tokenizer, written once; its parts are of usual size."""
    import transformers

    if folder.exists():
        return folder
    common = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": PAD}
    length = {"n_positions": 512} if kind == "gpt2" else {"max_position_embeddings": 1024}
    tied = {"tie_word_embeddings": False}
    config = transformers.AutoConfig.for_model(kind, **{**common, **length, **tied, **values})
    torch.manual_seed(0)
    with torch.device(device()):
        model = getattr(transformers, made_by).from_config(config, dtype=dtype)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                scale = 2.0 if "head" in name or "embed_out" in name else 1.0
                weight.normal_(0, scale / math.sqrt(weight.shape[-1]))
            elif "sinks" not in name:
                weight.add_(0.1 * torch.randn_like(weight))
    if made_by == "AutoModelForCausalLM":
        words = range(len(SPECIAL), config.vocab_size)
        ends = [word for word in words if word % ENDS_EVERY == 7]
        model.generation_config.eos_token_id = [*range(len(SPECIAL)), *ends]
    partial = folder.with_name(f".{folder.name}")
    model.save_pretrained(partial)
    write_tokenizer(partial, config.vocab_size)
    partial.rename(folder)
    return folder


def big_model(folder: Path, size: Size) -> Path:
    """The model that is timed, in bfloat16."""
    return write_model(folder / "big", "llama", size.big, torch.bfloat16)


def some_words(draw: random.Random, count: int, vocabulary: int) -> str:
    """So many words, of which none ends an answer."""
    found: list[str] = []
    while len(found) < count:
        number = draw.randrange(len(SPECIAL), vocabulary)
        if number % ENDS_EVERY != 7:
            found.append(f"w{number}")
    return " ".join(found)


def requests_of(
    count: int, vocabulary: int, words: tuple[int, int], samples: int = 1
) -> list[Request]:
    """Requests of different lengths, `samples` of each prompt, each with a seed of its own."""
    draw = random.Random(0)
    texts = [
        some_words(draw, draw.randint(*words), vocabulary) for _ in range(-(-count // samples))
    ]
    return [
        Request(str(place), ({"role": "user", "content": texts[place // samples]},), seed=place)
        for place in range(count)
    ]


def write_pairs(path: Path, count: int, vocabulary: int, length: int, held_out: int = 0) -> Path:
    """Preference pairs of random words, of which the longest fill `length` tokens."""
    import pyarrow as pa

    from wim.tables.files import write_table
    from wim.tables.schemas import PAIRS

    draw, rows = random.Random(1), []
    empty: dict[str, Any] = {
        field.name: None if field.nullable else 0.0 if pa.types.is_floating(field.type) else "none"
        for field in PAIRS.schema
    }
    for place in range(count + held_out):
        row = dict(empty)
        for name in ("prompt", "chosen", "rejected"):
            share = (
                (length // 8, length // 5) if name == "prompt" else (length // 5, length * 3 // 4)
            )
            text = some_words(draw, draw.randint(*share), vocabulary)
            role = "user" if name == "prompt" else "assistant"
            row[name] = [{"role": role, "content": text}]
            row[f"{name}_id"] = f"{name}{place}"
        rows.append(row | {"split": "train" if place < count else "eval"})
    write_table(path, PAIRS, pa.Table.from_pylist(rows, schema=PAIRS.schema))
    return path


def answers(
    engine: LocalEngine, requests: Sequence[Request], sampling: Sampling, batch_size: int
) -> dict[str, Completion]:
    """The answers by request."""
    engine.batch_size = batch_size
    return {answer.key: answer for answer in engine.generate(requests, sampling)}


# Clocks and memory.


def synchronized() -> float:
    """The time, once the GPU has done all that it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def forget() -> None:
    """Free what nothing refers to, and begin new peaks."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peaks() -> dict[str, float]:
    """Peaks of memory in GB since `forget`: of tensors, and of what the allocator held for them."""
    if not torch.cuda.is_available():
        return {}
    return {
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9,
        "reserved_gb": torch.cuda.max_memory_reserved() / 1e9,
    }


def seconds_of(work: Callable[[], Any], repeats: int) -> float:
    """The median time of some work, warmed up."""
    work()
    found = []
    for _ in range(repeats):
        start = synchronized()
        work()
        found.append(synchronized() - start)
    return statistics.median(found)


# Sections.


def machine(report: Report, size: Size, folder: Path, part: int) -> None:
    """What this machine is, and the rates of its products, which other figures are held against."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "none"
    report.figure("versions", python=platform.python_version(), **versions)
    header = Path(sysconfig.get_path("include"), "Python.h").is_file()
    report.figure(
        "host",
        cores=len(os.sched_getaffinity(0)),
        compiler=shutil.which("cc") or shutil.which("gcc"),
        python_h=header,
    )
    report.figure("precision", auto=fitting_precision("generation"))
    if not torch.cuda.is_available():
        return
    told = torch.cuda.get_device_properties(0)
    report.figure(
        "gpu",
        name=told.name,
        count=torch.cuda.device_count(),
        capability=f"{told.major}.{told.minor}",
        memory_gb=told.total_memory / 1e9,
        cuda=torch.version.cuda,
        bfloat16=torch.cuda.is_bf16_supported(including_emulation=False),
    )
    tf32 = torch.backends.cuda.matmul.allow_tf32
    report.check("float32 products are float32 ones", not tf32, allow_tf32=tf32)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        width = 8192 if dtype is not torch.float32 else 4096
        left, right = (torch.randn(width, width, device="cuda", dtype=dtype) for _ in range(2))
        took = seconds_of(lambda left=left, right=right: left @ right, 10)
        report.figure(f"product {dtype}", tflops=2 * width**3 / took / 1e12)
    memory = torch.empty(2**31, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(memory)
    took = seconds_of(lambda: target.copy_(memory), 10)
    report.figure("copy", gb_per_second=2 * memory.numel() / took / 1e9)


def noise(report: Report, size: Size, folder: Path, part: int) -> None:
    """Whether a row's noise, and the token it leads to, is the same on both devices."""
    draw = torch.Generator().manual_seed(0)
    rows, words = 128, size.big["vocab_size"]
    seeds = torch.randint(-(2**62), 2**62, (rows,), generator=draw)
    steps = torch.randint(0, 2000, (rows,), generator=draw)
    tokens = torch.arange(words).expand(rows, words)
    ours, theirs = (
        gumbel(*(each.to(place) for each in (seeds, steps, tokens))).cpu()
        for place in ("cpu", device())
    )
    unequal = int((ours != theirs).sum())
    apart = float((ours - theirs).abs().max())
    report.check("noise", apart < 1e-5, numbers=ours.numel(), unequal=unequal, largest=apart)
    for name, sampling in {
        "greedy": GREEDY,
        "top_k 50": SAMPLED,
        "top_p 0.9": Sampling(temperature=0.9, top_k=0, top_p=0.9),
        "all": Sampling(temperature=0.9, top_k=0),
    }.items():
        logits = 3 * torch.randn(rows, words, generator=draw)
        rounded = logits.bfloat16().float()
        for kind, each in (("float32", logits), ("bfloat16's ties", rounded)):
            drawn = [
                choose_tokens(*(one.to(place) for one in (each, seeds, steps)), sampling).cpu()
                for place in ("cpu", device())
            ]
            # Which of equal scores comes first, and where a sum passes top_p, a device may choose.
            may_differ = kind != "float32" or sampling.top_p < 1
            share = int((drawn[0] == drawn[1]).sum())
            report.check(
                f"tokens, {name}, {kind}", share == rows or may_differ, equal=share, of=rows
            )
            alone = torch.cat(
                [
                    choose_tokens(
                        *(one[place : place + 1].to(device()) for one in (each, seeds, steps)),
                        sampling,
                    ).cpu()
                    for place in range(rows)
                ]
            )
            share = int((alone == drawn[1]).sum())
            report.check(f"rows alone, {name}, {kind}", share == rows, equal=share, of=rows)


EXACT_PARTS = 4


def exactness(report: Report, size: Size, folder: Path, part: int) -> None:
    """Float32 answers of each architecture against `generate` and against the CPU."""
    for name in size.architectures[part::EXACT_PARTS]:
        with report.part(name):
            _exact(report, size, folder, name)


def _exact(report: Report, size: Size, folder: Path, name: str) -> None:
    values = {**ARCHITECTURES[name], "vocab_size": size.words}
    model = write_model(folder / f"exact-{name}", name, values)
    engine = LocalEngine(model, "float32")
    with on_cpu():
        other = LocalEngine(model, "float32")
    requests = requests_of(size.rows, size.words, (2, 48), samples=2)
    found: dict[str, Any] = {}
    greedy = GREEDY.model_copy(update={"max_new_tokens": size.tokens})
    sampled = {
        "greedy": greedy,
        "top_k": SAMPLED.model_copy(update={"max_new_tokens": size.tokens}),
        "top_p": Sampling(max_new_tokens=size.tokens, temperature=1.1, top_k=0, top_p=0.95),
    }
    if name in CONTRASTIVE:
        sampled["contrastive"] = Sampling(max_new_tokens=size.tokens, top_k=4, penalty_alpha=0.6)
    for kind, sampling in sampled.items():
        here, there = (
            answers(each, requests, sampling, rows) for each, rows in ((engine, 5), (other, 4))
        )
        found[kind] = compared(other, requests, sampling, here, there)
    by_generate = {request.key: plain_answer(engine, request, greedy) for request in requests}
    here = answers(engine, requests, greedy, size.rows)
    found["generate"] = compared(other, requests, greedy, here, by_generate)
    lengths = {row.completion_tokens for row in here.values()}
    other_rows = sum(each.different for each in found.values())
    report.check(
        f"{name} ({engine.model.config._attn_implementation})",
        other_rows == 0,
        rows=len(requests),
        lengths=len(lengths),
        **{kind: str(each) for kind, each in found.items()},
    )
    choices = [" w9", " w10 w11", " w10 w12", " w9 w13"]
    pairs = [
        {row.key: row.logprobs for row in each.choice_logprobs(requests, choices)}
        for each in (engine, other)
    ]
    apart = max(
        abs(one - two)
        for key, values in pairs[0].items()
        for one, two in zip(values or (), pairs[1][key] or (), strict=True)
    )
    report.check(f"{name}, log-probabilities of choices", apart < 1e-3, largest=apart)


@dataclass(frozen=True)
class Agreement:
    """Rows that are equal, that part where two scores are as good as equal, and that differ."""

    equal: int
    near: int
    different: int

    def __str__(self) -> str:
        return f"{self.equal} equal, {self.near} near, {self.different} different"


def compared(
    engine: LocalEngine,
    requests: Sequence[Request],
    sampling: Sampling,
    ours: dict[str, Completion],
    theirs: dict[str, Completion],
) -> Agreement:
    """How many answers agree; engine: one on the CPU, which is asked why where they do not."""
    apart = [row for row in requests if ours[row.key] != theirs[row.key]]
    near = sum(_gap(engine, row, sampling, ours[row.key], theirs[row.key]) < NEAR for row in apart)
    return Agreement(len(requests) - len(apart), near, len(apart) - near)


def _gap(
    engine: LocalEngine, request: Request, sampling: Sampling, one: Completion, other: Completion
) -> float:
    """How far the two scores are apart, in float64, that decided where two answers part (nats)."""
    if sampling.penalty_alpha:
        return math.inf
    tokens = [engine.chat.tokens(each.text) for each in (one, other)]
    same = 0
    while same < min(map(len, tokens)) and tokens[0][same] == tokens[1][same]:
        same += 1
    before = (
        engine.chat.tokens(engine.chat.prompt(request.messages, request.opening)) + tokens[0][:same]
    )
    model = copy.deepcopy(engine.model).double()
    with torch.inference_mode():
        scores = model(torch.tensor([before], device=engine.device)).logits[0, -1].double()
    if sampling.temperature:
        every = torch.arange(len(scores), device=scores.device)[None]
        seeds, steps = (torch.tensor([n], device=scores.device) for n in (request.seed, same))
        scores = scores / sampling.temperature + gumbel(seeds, steps, every)[0]
    chosen = [each[same : same + 1] or sorted(engine.chat.ends) for each in tokens]
    first, second = (float(scores[each].max()) for each in chosen)
    return abs(first - second)


def plain_answer(engine: LocalEngine, request: Request, sampling: Sampling) -> Completion:
    """What transformers' own generate says, alone in its batch."""
    prompt = engine.chat.tokens(engine.chat.prompt(request.messages, request.opening))
    output = engine.model.generate(
        torch.tensor([prompt], device=engine.device),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long, device=engine.device),
        do_sample=False,
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=sorted(engine.chat.ends),
        pad_token_id=PAD,
    )
    new = output[0, len(prompt) :].tolist()
    ended = new[-1] in engine.chat.ends
    text = engine.chat.tokenizer.decode(
        new[:-1] if ended else new, skip_special_tokens=True
    ).strip()
    reason: Any = "stop" if ended else "length"
    return Completion(request.key, text, reason, len(prompt), len(new))


def batching(report: Report, size: Size, folder: Path, part: int) -> None:
    """Whether rows say the same alone, in batches, and where they take the places of ended ones."""
    values = {
        **ARCHITECTURES["llama"],
        **{"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "head_dim": 64},
        "vocab_size": 8 * size.words,
    }
    model = write_model(folder / "batching", "llama", values)
    requests = requests_of(3 * size.rows, 8 * size.words, (2, 90), samples=3)
    for dtype in ("float32", "bfloat16", "float16"):
        engine = LocalEngine(model, dtype)
        # On a CPU too, rows are read as a GPU reads them.
        engine.blocks = None
        with on_cpu():
            other = LocalEngine(model, "float32")
        for kind, temperature in (("greedy", 0.0), ("sampled", 0.9)):
            with report.part(f"{dtype}, {kind}"):
                sampling = Sampling(max_new_tokens=size.tokens, temperature=temperature)
                alone = answers(engine, requests, sampling, 1)
                found, joins = {}, 0
                for rows in (3, 16, len(requests)):
                    for engine.continuous in (False, True):
                        with _joins_counted() as joined:
                            together = answers(engine, requests, sampling, rows)
                        joins += len(joined)
                        name = f"{rows}{' continuous' if engine.continuous else ''}"
                        found[name] = compared(other, requests, sampling, together, alone)
                exact = all(not each.different for each in found.values())
                # Rounding to 8 or 11 bits moves scores further than a near tie.
                report.check(
                    f"{dtype}, {kind}",
                    exact or dtype != "float32",
                    rows=len(requests),
                    joins=joins,
                    **{name: each.equal for name, each in found.items()},
                )
                # Where all rows are as long as the longest, there is no place to join at.
                if temperature and any(each.finish_reason == "stop" for each in alone.values()):
                    report.check(f"{dtype}, rows have joined", joins > 0, joins=joins)


@contextmanager
def _joins_counted() -> Iterator[list[int]]:
    """The rows of each batch that joins another."""
    found: list[int] = []
    join = Decoder.join

    def counted(own: Decoder, others: Sequence[Decoder]) -> list[int]:
        found.append(sum(len(other.logits) for other in others))
        return join(own, others)

    with patch.object(Decoder, "join", counted):
        yield found


def generation(report: Report, size: Size, folder: Path, part: int) -> None:
    """Tokens a second, launches, waits and memory of our engine and of plain `generate`."""
    from wim.sizing.folders import model_of_folder
    from wim.sizing.memory import generation_memory

    model = big_model(folder, size)
    forget()
    start = synchronized()
    engine = LocalEngine(model, "auto")
    report.figure(
        "loading",
        seconds=synchronized() - start,
        parameters=engine.model.num_parameters(),
        dtype=str(engine.dtype),
    )
    architecture = model_of_folder(model, "big")
    sampling = SAMPLED.model_copy(update={"max_new_tokens": size.new})
    few = SAMPLED.model_copy(update={"max_new_tokens": 4})
    for rows in size.batches:
        requests = requests_of(2 * rows, size.big["vocab_size"], size.prompt, samples=2)
        prompt = max(
            len(engine.chat.tokens(engine.chat.prompt(each.messages, each.opening)))
            for each in requests
        )
        said = generation_memory(
            architecture, rows, prompt, size.new, str(engine.dtype).removeprefix("torch.")
        )
        report.figure(f"{rows} rows, wim size", predicted_gb=said.total / 1e9)
        for name, run in {
            "generate": _plain_tokens,
            "ours": partial(_our_tokens, continuous=False),
            "ours, continuous": partial(_our_tokens, continuous=True),
        }.items():
            with report.part(f"{rows} rows, {name}"):
                run(engine, requests, few, rows)
                forget()
                start = synchronized()
                tokens, passes = run(engine, requests, sampling, rows)
                took = synchronized() - start
                report.figure(
                    f"{rows} rows, {name}",
                    tokens_per_second=tokens / took,
                    seconds=took,
                    tokens=tokens,
                    passes=passes,
                    ms_per_pass=1000 * took / passes,
                    **peaks(),
                )
        with report.part(f"{rows} rows, launches"):
            _launches(report, engine, requests[:rows], rows)


def leaving(report: Report, size: Size, folder: Path, part: int) -> None:
    """What late leaving, reserved room and prompts in parts bring: each undone alone, and all together.

    copied_gb: what operations that copy keys and values have written, in a run of its own.
    """
    model = big_model(folder, size)
    engine = LocalEngine(model, "auto")
    # On a CPU too, rows are read as a GPU reads them.
    engine.blocks = None
    at_once = partial(patch.dict, decoding.ENDED_SHARE, {engine.device: 0.0})
    late = partial(patch.dict, decoding.ENDED_SHARE, {engine.device: 0.25})
    growing = partial(patch.object, Decoder, "reserve", lambda *_: None)
    whole = partial(patch.object, running, "PREFILL_TOKENS", 2**40)
    ways = {
        "as it is": (late,),
        "rows leave at once": (at_once,),
        "the cache grows": (late, growing),
        "prompts all at once": (late, whole),
        "all of it undone": (at_once, growing, whole),
    }
    sampling = SAMPLED.model_copy(update={"max_new_tokens": size.new})
    rows = size.batches[min(1, len(size.batches) - 1)]
    requests = requests_of(2 * rows, size.big["vocab_size"], size.prompt, samples=2)
    both = ("as it is", "all of it undone")
    said: dict[bool, dict[str, Completion]] = {}
    for name, continuous in [*((each, False) for each in ways), *((each, True) for each in both)]:
        title = f"{rows} rows{', continuous' if continuous else ''}, {name}"
        with report.part(title), ExitStack() as opened:
            for undone in ways[name]:
                opened.enter_context(undone())
            engine.continuous = continuous
            forget()
            start = synchronized()
            found = answers(engine, requests, sampling, rows)
            took, memory = synchronized() - start, peaks()
            with _Copies() as copies:
                answers(engine, requests, sampling, rows)
            tokens = sum(answer.completion_tokens for answer in found.values())
            first = said.setdefault(continuous, found)
            equal = sum(found[key] == first[key] for key in found)
            report.figure(
                title,
                tokens_per_second=tokens / took,
                copied_gb=copies.written / 1e9,
                copies=copies.count,
                equal=f"{equal} of {len(found)}",
                **memory,
            )
            exact = engine.dtype is torch.float32
            report.check(f"{title}, answers", equal == len(found) or not exact)


class _Copies(TorchDispatchMode):
    """Counts the operations that copy keys and values, and the bytes that they write."""

    NAMES = ("cat", "index", "index_select", "clone", "copy_", "index_copy_")

    def __init__(self) -> None:
        super().__init__()
        self.count = self.written = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in self.NAMES:
            # index_copy_ writes its source alone.
            written = args[3] if name == "index_copy_" else found
            if written.dim() == 4 and written.shape[-2] > 1:
                self.count += 1
                self.written += written.numel() * written.element_size()
        return found


def _our_tokens(
    engine: LocalEngine, requests: list[Request], sampling: Sampling, rows: int, continuous: bool
) -> tuple[int, int]:
    """Useful tokens, and passes of the model of one token a row."""
    engine.continuous, passes = continuous, 0
    advance = Decoder.advance

    def counted(own: Decoder, tokens: Any) -> None:
        nonlocal passes
        passes += 1
        advance(own, tokens)

    with patch.object(Decoder, "advance", counted):
        found = answers(engine, requests, sampling, rows)
    return sum(answer.completion_tokens for answer in found.values()), max(1, passes)


def _plain_tokens(
    engine: LocalEngine, requests: list[Request], sampling: Sampling, rows: int
) -> tuple[int, int]:
    """The same of plain generate, batch by batch in the file's order."""
    torch.manual_seed(0)
    count = passes = 0
    for start in range(0, len(requests), rows):
        prompts = [
            engine.chat.tokens(engine.chat.prompt(each.messages, each.opening))
            for each in requests[start : start + rows]
        ]
        batch = engine.chat.tokenizer.pad(
            {"input_ids": prompts}, padding_side="left", return_tensors="pt"
        ).to(engine.device)
        output = engine.model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            do_sample=True,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=sorted(engine.chat.ends),
            pad_token_id=PAD,
        )[:, batch["input_ids"].shape[1] :]
        ends = torch.isin(output, torch.tensor(sorted(engine.chat.ends), device=output.device))
        lengths = torch.where(ends.any(1), ends.int().argmax(1) + 1, output.shape[1])
        count += int(lengths.sum())
        passes += output.shape[1]
    return count, passes


def _launches(report: Report, engine: LocalEngine, requests: list[Request], rows: int) -> None:
    """What a step asks of the GPU: the difference of two runs, of more steps and of fewer.

    Ours without rows that end, ours with them, which leave the batch, and plain generate. busy_ms:
    the time of the GPU's own work, the most of it in the kernels that are named.
    """
    if not torch.cuda.is_available():
        return
    ours, ends, fewer, more = partial(_our_tokens, continuous=False), engine.chat.ends, 8, 24
    for name, run, ending in (
        ("no row ends", ours, frozenset()),
        ("rows end", ours, ends),
        ("generate", _plain_tokens, ends),
    ):
        engine.chat.ends = ending
        try:
            found = []
            for steps in (fewer, more):
                sampling = SAMPLED.model_copy(update={"max_new_tokens": steps})
                work = partial(run, engine, requests, sampling, rows)
                took = 1000 * seconds_of(work, 2)
                found.append({"ms": took, **_asked(work)})
        finally:
            engine.chat.ends = ends
        short, long = found
        kernels = long.pop("kernels")
        report.figure(
            f"{rows} rows, a step, {name}",
            **{key: (long[key] - short[key]) / (more - fewer) for key in long},
            kernels={key: round(value / more, 3) for key, value in kernels.items()},
        )


def _asked(work: Callable[[], Any]) -> dict[str, Any]:
    """Counts of calls to the GPU's driver, its busy time, and the longest kernels, in ms."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        work()
        torch.cuda.synchronize()
    told = seen.key_averages()
    counted = {
        name: sum(each.count for each in told if any(part in each.key for part in parts))
        for name, parts in {
            "launches": ("LaunchKernel",),
            "copies": ("cudaMemcpyAsync",),
            "waits": ("cudaStreamSynchronize", "cudaDeviceSynchronize"),
            "allocations": ("cudaMalloc", "cudaFree"),
        }.items()
    }
    kernels = {
        each.key[:60]: each.self_device_time_total / 1000
        for each in told
        if each.device_type == DeviceType.CUDA
    }
    longest = sorted(kernels, key=lambda name: -kernels[name])[:5]
    return {
        **counted,
        "busy_ms": sum(kernels.values()),
        "kernels": {name: kernels[name] for name in longest},
    }


def graph(report: Report, size: Size, folder: Path, part: int) -> None:
    """What a step would take as one CUDA graph over a cache of fixed size, against launch by launch.

    The library does not do so; this is the gain that is to be had.
    """
    if not torch.cuda.is_available():
        return
    model = open_model(big_model(folder, size), torch.bfloat16, "cuda")
    for rows in size.batches:
        with report.part(f"{rows} rows"):
            _graph(report, model, rows, 128, 32)
            forget()


@torch.inference_mode()
def _graph(report: Report, model: Any, rows: int, prompt: int, steps: int) -> None:
    from transformers import StaticCache

    from wim.engines.local.cache import growing_cache

    torch.manual_seed(0)
    tokens = torch.randint(len(SPECIAL), model.config.vocab_size, (rows, prompt), device="cuda")
    growing = growing_cache(model)
    fixed = StaticCache(config=model.config, max_cache_len=prompt + 2 * steps + 8)
    first = [
        model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        for cache in (growing, fixed)
    ]
    places = torch.arange(fixed.layers[0].max_cache_len, device="cuda")
    token = first[0].argmax(-1, keepdim=True)
    position = torch.full((rows, 1), prompt, device="cuda")
    logits = torch.empty_like(first[1])

    def step() -> None:
        mask = (places <= position[:1]).view(1, 1, 1, -1).expand(rows, 1, 1, -1)
        output = model(
            token, attention_mask=mask, position_ids=position, past_key_values=fixed, use_cache=True
        )
        logits.copy_(output.logits[:, -1])
        token.copy_(logits.argmax(-1, keepdim=True))
        position.add_(1)

    lengths = [layer.cumulative_length for layer in fixed.layers]

    def back() -> None:
        token.copy_(first[0].argmax(-1, keepdim=True))
        position.fill_(prompt)
        for length in lengths:
            length.fill_(prompt)

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    start = synchronized()
    for _ in range(steps):
        step()
    eager = (synchronized() - start) / steps
    back()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        step()
    back()
    found, start = [], synchronized()
    for _ in range(steps):
        captured.replay()
        found.append(token.clone())
    replayed = (synchronized() - start) / steps
    # The same by the cache that grows, fed with the same tokens.
    current, equal = first[0].argmax(-1, keepdim=True), 0
    start = synchronized()
    for chosen in found:
        output = model(current, past_key_values=growing, use_cache=True).logits[:, -1]
        equal += int((output.argmax(-1, keepdim=True) == chosen).sum())
        current = chosen
    grown = (synchronized() - start) / steps
    report.figure(
        f"{rows} rows, ms a step",
        growing=1000 * grown,
        fixed=1000 * eager,
        graph=1000 * replayed,
        gain=grown / replayed,
        equal=f"{equal} of {rows * steps}",
    )


def choices(report: Report, size: Size, folder: Path, part: int) -> None:
    """Numbers by log-probabilities: rows a second, and what bfloat16 does to them."""
    model = big_model(folder, size)
    rows = size.batches[0]
    requests = requests_of(4 * rows, size.big["vocab_size"], size.prompt)
    found: dict[str, list[tuple[float, ...]]] = {}
    numbers = [f" w{number}" for number in range(20, 30)]
    for dtype in ("float32", "bfloat16"):
        engine = LocalEngine(model, dtype, rows)
        list(engine.choice_logprobs(requests[:rows], numbers))
        start = synchronized()
        told = {row.key: row.logprobs for row in engine.choice_logprobs(requests, numbers)}
        took = synchronized() - start
        found[dtype] = [told[request.key] or () for request in requests]
        ties = statistics.mean(len(each) - len(set(each)) for each in found[dtype])
        report.figure(dtype, rows_per_second=len(requests) / took, equal_numbers_a_row=ties)
        del engine
        forget()
    apart = [
        abs(one - two)
        for left, right in zip(*found.values(), strict=True)
        for one, two in zip(left, right, strict=True)
    ]
    report.figure("bfloat16 against float32", mean=statistics.mean(apart), largest=max(apart))


# Training.


@dataclass(frozen=True)
class Trained:
    """What a training logged and took: seconds of setting up, and of a step (median, and all)."""

    losses: list[float]
    margins: list[float]
    setup: float
    step: float
    total: float
    peaks: dict[str, float]


def _stepwise() -> Any:
    """A callback with the time of each step's end."""
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.times.append(synchronized())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.times.append(synchronized())

    return Steps()


def _trained(
    make: Callable[[], tuple[Any, Callable[[], None]]], after: Callable[[Any], None] | None = None
) -> Trained:
    """Train, and let go of the trainer. make: gives one, and what has it train. after: looks at it."""
    forget()
    start = synchronized()
    trainer, train = make()
    setup, steps = synchronized() - start, _stepwise()
    trainer.add_callback(steps)
    train()
    total = synchronized() - start
    took = [later - sooner for sooner, later in zip(steps.times, steps.times[1:], strict=False)]
    history = [row for row in trainer.state.log_history if "loss" in row]
    if after is not None:
        after(trainer)
    return Trained(
        losses=[row["loss"] for row in history],
        margins=[row["rewards/margins"] for row in history],
        setup=setup,
        step=statistics.median(took[1:] or took),
        total=total,
        peaks=peaks(),
    )


def _ours(
    model: Path,
    pairs: Path,
    settings: TrainingSettings,
    micro: int,
    work: Path,
    quantization: Any = "none",
) -> tuple[Any, Callable[[], None]]:
    """Our trainer as the workflow makes it."""
    from wim.models.manifest import write_manifest
    from wim.training.dpo.train import DpoTraining
    from wim.training.run.setup import Run, trainer_parts

    work.mkdir(parents=True, exist_ok=True)
    state = Path(tempfile.mkdtemp(dir=work))
    manifest = model / "manifest.json"
    if not manifest.exists():
        write_manifest(model, "bench")
    run = Run(
        manifest=manifest,
        seed=0,
        per_device=micro,
        store=state,
        save_seconds=1e9,
        folder=state,
        quantization=quantization,
    )
    training = DpoTraining(
        run=run,
        settings=settings,
        upstream_settings={},
        names={},
        title="bench",
        pairs=pairs,
        reference=None,
    )
    parts = trainer_parts(
        run,
        settings,
        name=training.kind,
        base=model,
        open_model=training.open_model,
        working=state,
        first_step=0,
        is_awaited=lambda: False,
    )
    trainer = training.make_trainer(parts)
    return trainer, lambda: training.train(trainer, parts, None)


def _of_trl(
    model: Path, pairs: Path, settings: TrainingSettings, micro: int, work: Path, dtype: Any
) -> tuple[Any, Callable[[], None]]:
    """TRL's own trainer with the same adapters, batches and seed; dtype: of the frozen weights."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, set_seed
    from trl import DPOConfig, DPOTrainer

    from wim.training.dpo.trainer import loss_arguments
    from wim.training.preference_data import preference_splits
    from wim.training.run.weights import lora_config

    def texts(row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in ("prompt", "chosen", "rejected")}

    set_seed(0)
    opened = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, device_map=device())
    trainer = DPOTrainer(
        model=opened,
        processing_class=AutoTokenizer.from_pretrained(model),
        train_dataset=preference_splits(pairs, texts)[0],
        peft_config=lora_config(settings, type(opened).__name__),
        args=DPOConfig(
            output_dir=str(work / "trl"),
            seed=0,
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=settings.batch_size // micro,
            learning_rate=settings.learning_rate,
            lr_scheduler_type=settings.scheduler,
            warmup_steps=settings.warmup,
            num_train_epochs=settings.epochs,
            max_length=settings.max_length,
            max_grad_norm=settings.max_grad_norm,
            weight_decay=settings.weight_decay,
            bf16=settings.precision == "bfloat16",
            gradient_checkpointing=settings.gradient_checkpointing,
            use_cpu=not torch.cuda.is_available(),
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **loss_arguments(settings),
        ),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, trainer.train


def losses(report: Report, size: Size, folder: Path, part: int) -> None:
    """The course of the loss in small: ours against TRL's, and against ours on the CPU."""
    values = {**ARCHITECTURES["llama"], "vocab_size": size.words}
    model = write_model(folder / "losses", "llama", values)
    pairs = write_pairs(folder / "losses.parquet", 32, size.words, 96)
    kinds: dict[str, dict[str, Any]] = {
        "sigmoid": {"loss": "sigmoid"},
        "ipo": {"loss": "ipo"},
        "mixture": {"loss": {"sigmoid": 0.8, "lrml": 0.2}},
        "weighted": {"loss": "sigmoid", "wpo_weighting": True},
    }
    common = {"batch_size": 8, "max_length": 96, "warmup": 0.0, "learning_rate": 1e-3}
    for kind, own in kinds.items():
        with report.part(kind):
            told = {**common, **own, "precision": "float32"}
            settings = TrainingSettings(**told)
            work = folder / f"losses-{kind}"
            here = _trained(lambda s=settings, w=work: _ours(model, pairs, s, 4, w))
            apart = {}
            if kind == "sigmoid" or (kind == "mixture" and torch.cuda.is_available()):
                there = _elsewhere(model, pairs, told, folder / f"losses-{kind}-cpu")
                apart["cpu"] = _apart(here.losses, there)
            if kind in ("sigmoid", "ipo", "weighted"):
                trl = _trained(
                    lambda s=settings, w=work: _of_trl(model, pairs, s, 4, w, torch.float32)
                )
                apart["trl"] = _apart(here.losses, trl.losses)
            report.check(
                f"{kind}, float32",
                max(apart.values(), default=0.0) < 1e-3,
                first=here.losses[0],
                last=here.losses[-1],
                **{f"from_{name}": value for name, value in apart.items()},
            )
            if kind == "sigmoid":
                off = abs(here.losses[0] - math.log(2))
                report.check("first loss is ln 2, float32", off < 1e-5, off=off)


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference of two courses, as a share of the largest number."""
    largest = max(map(abs, (*one, *other)), default=0.0) or 1.0
    return max(abs(left - right) for left, right in zip(one, other, strict=True)) / largest


def _elsewhere(model: Path, pairs: Path, told: dict[str, Any], work: Path) -> list[float]:
    """The losses of our trainer in another process, on the CPU."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import gpu; gpu.train_on_cpu(*sys.argv[2:])"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, str(Path(__file__).parent)),
            *(str(model), str(pairs), json.dumps(told), str(work)),
        ],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def train_on_cpu(model: str, pairs: str, told: str, work: str) -> None:
    """Train and print the losses; for a process that sees no GPU."""
    settings = TrainingSettings(**json.loads(told))
    # As many pairs at a time as on a GPU, so that losses over a batch are the same.
    found = _trained(lambda: _ours(Path(model), Path(pairs), settings, 4, Path(work)))
    print(json.dumps(found.losses))


def checkpoints(report: Report, size: Size, folder: Path, part: int) -> None:
    """Whole checkpoints in small: the first loss, and whether merged weights are base and adapter."""
    from peft import PeftModel

    from wim.models.stage import stage_model
    from wim.settings.models import ModelSource
    from wim.training.dpo.train import train_dpo
    from wim.training.run.setup import Run

    values = {**ARCHITECTURES["llama"], "vocab_size": size.words}
    model = write_model(folder / "checkpoints", "llama", values)
    stage_model(ModelSource(source=f"path:{model}"), folder / "staged")
    pairs = write_pairs(folder / "checkpoints.parquet", 32, size.words, 96, held_out=4)
    last: dict[str, float] = {}
    for quantization in ("none", "nf4", "int8"):
        with report.part(quantization):
            out = folder / f"checkpoint-{quantization}"
            settings = TrainingSettings(
                batch_size=8, epochs=2, max_length=96, learning_rate=1e-3, precision="float32"
            )
            train_dpo(
                pairs=pairs,
                settings=settings,
                names={"arm": "bench", "round": 1, "reward": "none"},
                upstream_settings={},
                run=Run(
                    manifest=folder / "staged/manifest.json",
                    seed=0,
                    per_device=4,
                    store=folder / f"store-{quantization}",
                    save_seconds=1e9,
                    folder=out,
                    quantization=quantization,
                ),
            )
            rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
            found = [row["loss"] for row in rows if "loss" in row]
            last[quantization] = found[-1]
            divergence = next((row["eval_kl"] for row in rows if "eval_kl" in row), None)
            whole = open_model(model, torch.float32, device())
            expected = PeftModel.from_pretrained(whole, out / "adapter").eval()
            merged = open_model(out, torch.float32, device())
            tokens = torch.arange(5, 60, device=device())[None]
            with torch.inference_mode():
                apart = float((merged(tokens).logits - expected(tokens).logits).abs().max())
            off = abs(found[0] - math.log(2))
            # What bitsandbytes rounds to 8 bits depends on the batch.
            report.check(
                f"checkpoint, {quantization}",
                off < (2e-2 if quantization == "int8" else 1e-3) and apart < 1e-3,
                off_ln2=off,
                last=found[-1],
                eval_kl=divergence,
                merged_apart=apart,
            )
    for quantization in set(last) & {"nf4", "int8"} if "none" in last else ():
        # Where gradients get lost on their way through packed weights, the loss hardly falls.
        share = (math.log(2) - last[quantization]) / (math.log(2) - last["none"])
        report.check(f"{quantization} learns", share > 0.7, share_of_unpacked=share)


def dpo(report: Report, size: Size, folder: Path, part: int) -> None:
    """Seconds a step and peak memory of DPO, TRL's and ours; the first loss in bfloat16."""
    from wim.sizing.folders import model_of_folder
    from wim.sizing.memory import adapter_parameters, training_memory

    model = big_model(folder, size)
    count = size.steps * size.pairs
    pairs = write_pairs(folder / "dpo.parquet", count, size.big["vocab_size"], size.length)
    settings = TrainingSettings(
        batch_size=size.pairs, max_length=size.length, precision="bfloat16", warmup=0.0
    )
    work = folder / "dpo"
    shape = (model, pairs, settings, size.micro, work)
    found = {}
    for name, make in {
        "TRL, float32 weights": lambda: _of_trl(*shape, torch.float32),
        "TRL, bfloat16 weights": lambda: _of_trl(*shape, torch.bfloat16),
        "ours, first arm": lambda: _ours(*shape),
        "ours, next arms": lambda: _ours(*shape),
    }.items():
        with report.part(name):
            told = _trained(make)
            found[name] = told
            report.figure(
                name,
                seconds_per_step=told.step,
                setup=told.setup,
                total=told.total,
                pairs_per_second=count / told.total,
                first_loss=told.losses[0],
                last_loss=told.losses[-1],
                first_margin=told.margins[0],
                **told.peaks,
            )
            if name.startswith("ours"):
                off = abs(told.losses[0] - math.log(2))
                report.check(f"{name}, first loss is ln 2", off < 1e-3, off=off)
    architecture = model_of_folder(model, "big")
    adapter = adapter_parameters(architecture, 16, "all-linear")
    said = training_memory(architecture, 2 * size.micro, size.length, True, adapter)
    report.figure("wim size", predicted_gb=said.total / 1e9)
    if len(found) == 4:
        report.figure(
            "losses, ours from TRL's",
            float32_weights=_apart(
                found["TRL, float32 weights"].losses, found["ours, next arms"].losses
            ),
            bfloat16_weights=_apart(
                found["TRL, bfloat16 weights"].losses, found["ours, next arms"].losses
            ),
        )


def quantized(report: Report, size: Size, folder: Path, part: int) -> None:
    """Weights in 4 and 8 bits: memory, generation, and adapters trained on them."""
    try:
        importlib.metadata.version("bitsandbytes")
    except importlib.metadata.PackageNotFoundError:
        report.figure("left out", why="bitsandbytes is not installed")
        return
    model = big_model(folder, size)
    rows = size.batches[0]
    requests = requests_of(rows, size.big["vocab_size"], size.prompt, samples=2)
    sampling = SAMPLED.model_copy(update={"max_new_tokens": min(32, size.new)})
    pairs = write_pairs(
        folder / "packed.parquet", 2 * size.pairs, size.big["vocab_size"], size.length
    )
    for quantization in ("none", "nf4", "int8"):
        with report.part(f"{quantization}, generation"):
            forget()
            start = synchronized()
            engine = LocalEngine(model, "auto", rows, quantization)
            loading = synchronized() - start
            answers(engine, requests[:2], sampling.model_copy(update={"max_new_tokens": 2}), rows)
            start = synchronized()
            tokens, passes = _our_tokens(engine, requests, sampling, rows, False)
            took = synchronized() - start
            report.figure(
                f"{quantization}, generation",
                loading=loading,
                weights_gb=engine.model.get_memory_footprint() / 1e9,
                tokens_per_second=tokens / took,
                ms_per_pass=1000 * took / passes,
                **peaks(),
            )
            del engine
        with report.part(f"{quantization}, dpo"):
            settings = TrainingSettings(
                **{"batch_size": size.pairs, "max_length": size.length, "warmup": 0.0},
                **{"precision": "bfloat16", "learning_rate": 5e-6, "scheduler": "constant"},
            )
            _packed_training(report, model, pairs, settings, size, folder, quantization)


def _packed_training(
    report: Report,
    model: Path,
    pairs: Path,
    settings: TrainingSettings,
    size: Size,
    folder: Path,
    quantization: Any,
) -> None:
    before: dict[str, Any] = {}

    def make() -> tuple[Any, Callable[[], None]]:
        trainer, train = _ours(
            model, pairs, settings, size.micro, folder / f"packed-{quantization}", quantization
        )
        before.update(_adapters(trainer))
        return trainer, train

    after: dict[str, Any] = {}
    told = _trained(make, lambda trainer: after.update(_adapters(trainer)))
    kinds = sorted({str(each.dtype).removeprefix("torch.") for each in before.values()})
    # Adapters begin with B = 0, so that A has a gradient from the second step on.
    names = [name for name in before if "lora_A" in name]
    moved = statistics.mean(float((before[name] != after[name]).float().mean()) for name in names)
    off = abs(told.losses[0] - math.log(2))
    report.figure(
        f"{quantization}, dpo",
        seconds_per_step=told.step,
        first_loss_off_ln2=off,
        a_moved=moved,
        **told.peaks,
    )
    report.check(f"{quantization}, adapters are float32", kinds == ["float32"], found=kinds)
    report.check(f"{quantization}, first loss is ln 2", off < 1e-2, off=off)


def _adapters(trainer: Any) -> dict[str, Any]:
    """Copies of the trained numbers."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    return {
        name: weight.detach().clone()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


# Other models.


def scores(report: Report, size: Size, folder: Path, part: int) -> None:
    """A reward model's scores: against the CPU, by batch size, and in bfloat16."""
    from wim.engines.reward_model_engine import Conversation, ScoringModel
    from wim.engines.turn_format import Turn

    values = {**ARCHITECTURES["llama"], "vocab_size": size.words, "num_labels": 1}
    kind = "AutoModelForSequenceClassification"
    model = write_model(folder / "scores", "llama", values, made_by=kind)
    draw = random.Random(2)
    conversations = [
        Conversation(
            ({"role": "user", "content": some_words(draw, draw.randint(1, 60), size.words)},),
            Turn(some_words(draw, draw.randint(1, 90), size.words)),
        )
        for _ in range(16 * size.rows)
    ]

    def found(opened: Any, rows: int) -> list[float]:
        opened.batch_size = rows
        told = dict(opened.scores(conversations))
        return [float(told[place].value) for place in range(len(conversations))]

    with on_cpu():
        expected = found(ScoringModel(model, "float32"), 32)
    opened = ScoringModel(model, "float32")
    for rows in (1, 7, 64):
        apart = _apart(expected, found(opened, rows))
        report.check(f"float32, batches of {rows}, from the CPU", apart < 1e-3, largest=apart)
    half = found(ScoringModel(model, "bfloat16"), 64)
    apart = [abs(one - two) for one, two in zip(expected, half, strict=True)]
    report.figure(
        "bfloat16 from float32",
        mean=statistics.mean(apart),
        largest=max(apart),
        equal_scores=len(half) - len(set(half)),
        of=len(half),
    )


def encoder(report: Report, size: Size, folder: Path, part: int) -> None:
    """A sentence encoder's vectors against the CPU, and by batch size."""
    from wim.embedding.embed import Encoder

    values = {key: _SMALL[key] for key in _SMALL if key not in ("head_dim", "num_key_value_heads")}
    model = write_model(
        folder / "encoder", "bert", {**values, "vocab_size": size.words}, made_by="AutoModel"
    )
    draw = random.Random(3)
    texts = [some_words(draw, draw.randint(1, 80), size.words) for _ in range(8 * size.rows)]
    with on_cpu():
        expected = Encoder(model, 16).encode(texts).vectors
    opened = Encoder(model)
    report.figure("opened", device=str(opened.model.device), dimension=opened.dimension)
    for rows in (1, 7, 64):
        opened.batch_size = rows
        apart = float(abs(opened.encode(texts).vectors - expected).max())
        report.check(f"batches of {rows}, from the CPU", apart < 1e-4, largest=apart)


def memory(report: Report, size: Size, folder: Path, part: int) -> None:
    """What happens when a batch does not fit: with rows that generate, and in training."""
    if not torch.cuda.is_available():
        return
    from wim.engines.memory import HalvingEngine
    from wim.errors import UserError
    from wim.training.records.resource_errors import explain_out_of_memory

    model = big_model(folder, size)
    rows = size.batches[min(1, len(size.batches) - 1)]
    requests = requests_of(rows, size.big["vocab_size"], size.prompt)
    sampling = SAMPLED.model_copy(update={"max_new_tokens": size.new})
    engine = LocalEngine(model, "auto", rows)
    forget()
    _our_tokens(engine, requests, sampling, rows, True)
    ample = torch.cuda.max_memory_reserved()
    held = engine.model.get_memory_footprint()
    forget()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((held + (ample - held) / 3) / whole)
    expected = answers(engine, requests, sampling, max(1, rows // 16))
    done: dict[str, Completion] = {}
    engine.batch_size, error = rows, "none"
    try:
        halving = HalvingEngine(engine, "generate_dialogues")
        done.update((answer.key, answer) for answer in halving.generate(requests, sampling))
    except (torch.OutOfMemoryError, UserError) as found:
        error = type(found).__name__
    report.check(
        "a batch that does not fit is made smaller",
        len(done) == rows,
        rows=rows,
        answered=len(done),
        error=error,
    )
    if done:
        equal = sum(done[key] == expected[key] for key in done)
        report.figure("answers", equal=equal, of=len(done), dtype=str(engine.dtype))
    forget()
    left = torch.cuda.memory_allocated()
    after = answers(engine, requests, sampling, max(1, rows // 16))
    report.check(
        "the engine goes on after it",
        after == expected,
        left_gb=(left - held) / 1e9,
        equal=sum(after[key] == expected[key] for key in after),
    )
    del engine
    forget()
    pairs = write_pairs(folder / "memory.parquet", size.pairs, size.big["vocab_size"], size.length)
    settings = TrainingSettings(
        batch_size=size.pairs, max_length=size.length, precision="bfloat16", warmup=0.0
    )
    error = "none"
    try:
        with explain_out_of_memory(settings, size.micro, folder):
            _trained(lambda: _ours(model, pairs, settings, size.micro, folder / "memory"))
    except UserError as found:
        error = str(found)
    report.check("training that does not fit says what helps", "ran out" in error, error=error)


def processes(report: Report, size: Size, folder: Path, part: int) -> None:
    """Training on two GPUs: the losses of one."""
    if torch.cuda.device_count() < 2:
        report.figure("left out", why="needs two GPUs", found=torch.cuda.device_count())
        return
    from wim.models.stage import stage_model
    from wim.settings.models import ModelSource
    from wim.training.dpo.train import train_dpo
    from wim.training.run.launch import write_checkpoint_on
    from wim.training.run.setup import Run

    values = {**ARCHITECTURES["llama"], "vocab_size": size.words}
    model = write_model(folder / "processes", "llama", values)
    stage_model(ModelSource(source=f"path:{model}"), folder / "shared")
    pairs = write_pairs(folder / "processes.parquet", 32, size.words, 96)
    settings = TrainingSettings(batch_size=8, max_length=96, precision="float32")
    run = Run(
        manifest=folder / "shared/manifest.json",
        seed=0,
        per_device=4,
        store=folder / "processes-store",
        save_seconds=1e9,
        folder=folder / "one",
    )
    found = []
    for count, parallel in ((1, "ddp"), (2, "ddp"), (2, "fsdp")):
        name = f"{count} {parallel}"
        own: Any = replace(
            run,
            folder=folder / name.replace(" ", "-"),
            store=run.store / name.replace(" ", "-"),
            parallel=parallel,
        )
        with report.part(name):
            start = time.perf_counter()
            write_checkpoint_on(
                *(train_dpo, count, folder / f"{name}.log"),
                pairs=pairs,
                settings=settings,
                names={"arm": "bench", "round": 1, "reward": "none"},
                upstream_settings={},
                run=own,
            )
            lines = (own.folder / "metrics.jsonl").read_text().splitlines()
            found.append([row["loss"] for row in map(json.loads, lines) if "loss" in row])
            apart = _apart(found[0], found[-1])
            took = time.perf_counter() - start
            report.check(name, apart < 1e-3, from_one=apart, seconds=took)


# The run.


@dataclass(frozen=True)
class Section:
    """A function, its time limit in seconds, its parts, and whether it must run alone."""

    work: Callable[[Report, Size, Path, int], None]
    limit: int
    alone: bool = False
    parts: int = 1


# In the order in which they begin.
SECTIONS = {
    "batching": Section(batching, 240),
    "losses": Section(losses, 240),
    "exactness": Section(exactness, 240, parts=EXACT_PARTS),
    "checkpoints": Section(checkpoints, 200),
    "noise": Section(noise, 120),
    "scores": Section(scores, 120),
    "encoder": Section(encoder, 120),
    "machine": Section(machine, 60, alone=True),
    "generation": Section(generation, 180, alone=True),
    "leaving": Section(leaving, 150, alone=True),
    "dpo": Section(dpo, 120, alone=True),
    "quantized": Section(quantized, 100, alone=True),
    "memory": Section(memory, 60, alone=True),
    "choices": Section(choices, 60, alone=True),
    "graph": Section(graph, 60, alone=True),
    "processes": Section(processes, 120, alone=True),
}


def _one(name: str, part: int, size: Size, folder: Path) -> None:
    """What the process of a section does."""
    import datasets
    import transformers
    from transformers.utils import logging as of_transformers

    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    warnings.simplefilter("ignore", FutureWarning)
    # A line for each matrix product in 8 bits.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    of_transformers.disable_progress_bar()
    datasets.disable_progress_bars()
    torch.set_num_threads(
        max(1, len(os.sched_getaffinity(0)) // (1 if SECTIONS[name].alone else 8))
    )
    # Some families have a class that would take our words for something else.
    made = transformers.PreTrainedTokenizerFast.from_pretrained
    with patch.object(transformers.AutoTokenizer, "from_pretrained", made):
        SECTIONS[name].work(Report(name, folder / f"{name}-{part}.jsonl"), size, folder, part)


def _context() -> Any:
    """How processes are begun: forked from this one, which has all imports, where CUDA allows it."""
    # peft and what imports it bring up bitsandbytes, which asks CUDA for the card at once.
    for name in ("transformers", "datasets", "pyarrow", "accelerate"):
        __import__(name)
    forked = multiprocessing.get_context("fork")
    if torch.cuda.is_available():
        probe = forked.Process(target=torch.cuda.init)
        probe.start()
        probe.join()
        if probe.exitcode:
            print("CUDA does not run in forked processes here; each imports anew", flush=True)
            return multiprocessing.get_context("spawn")
    return forked


@dataclass
class Job:
    """A process of a section; it ends at `latest` (of the monotonic clock) if not by itself."""

    name: str
    part: int
    process: Any
    latest: float
    start: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    status: str = ""

    def ended(self) -> bool:
        """Whether it has ended, by itself or by its limit."""
        if self.process.is_alive() and time.monotonic() > self.latest:
            self.process.kill()
            self.process.join()
            self.status = "out of time"
        if self.process.is_alive():
            return False
        self.process.join()
        self.seconds = time.monotonic() - self.start
        if not self.status:
            self.status = "ended" if self.process.exitcode == 0 else f"exit {self.process.exitcode}"
        return True


def run_sections(
    names: Sequence[str], size: Size, folder: Path, at_once: int, seconds: float
) -> list[Job]:
    """Run sections: those that may, side by side, then the others one by one.

    seconds: for all of them; what is left then does not begin.
    """
    end = time.monotonic() + seconds
    context, found = _context(), []
    for alone in (False, True):
        waiting = [
            (name, part)
            for name in SECTIONS
            if name in names and SECTIONS[name].alone is alone
            for part in range(SECTIONS[name].parts)
        ]
        running: list[Job] = []
        while waiting or running:
            while waiting and len(running) < (1 if alone else at_once):
                name, part = waiting.pop(0)
                process = context.Process(target=_one, args=(name, part, size, folder))
                latest = min(end, time.monotonic() + SECTIONS[name].limit * size.patience)
                job = Job(name, part, process, latest)
                if time.monotonic() > end:
                    job.status = "no time"
                    found.append(job)
                    continue
                process.start()
                running.append(job)
            time.sleep(0.05)
            over = [job for job in running if job.ended()]
            for job in over:
                print(f"== {job.name} {job.part}: {job.status}, {job.seconds:.0f} s", flush=True)
            found += over
            running = [job for job in running if job not in over]
    return found


def summary(jobs: Sequence[Job], folder: Path) -> dict[str, Any]:
    """Everything that the sections reported, by section."""
    found: dict[str, Any] = {}
    for job in sorted(jobs, key=lambda job: (list(SECTIONS).index(job.name), job.part)):
        path = folder / f"{job.name}-{job.part}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        own = found.setdefault(job.name, {"status": [], "seconds": 0.0, "rows": []})
        own["status"].append(job.status)
        own["seconds"] = max(own["seconds"], job.seconds)
        own["rows"] += map(json.loads, lines)
    return found


def main() -> None:
    """Run, print a table, and write everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--tiny", action="store_true", help="in small, for a CPU")
    parser.add_argument("--seconds", type=float, default=520, help="for all sections")
    parser.add_argument("--output", type=Path, help="a JSON file with everything")
    parser.add_argument(
        "--at-once", type=int, default=max(1, min(8, len(os.sched_getaffinity(0)) // 2))
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        start = time.monotonic()
        folder = Path(name)
        size = TINY if options.tiny else FULL
        seconds = options.seconds * size.patience
        jobs = run_sections(options.only, size, folder, options.at_once, seconds)
        found = summary(jobs, folder)
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"\n{'section':<12} {'status':<12} {'s':>5} {'held':>5} {'failed':>6}")
    good = True
    for section, told in found.items():
        checks = [row["holds"] for row in told["rows"] if "check" in row]
        bad = [status for status in told["status"] if status != "ended"]
        good &= all(checks) and not bad
        print(
            f"{section:<12} {(bad or ['ended'])[0]:<12} {told['seconds']:>5.0f} "
            f"{sum(checks):>5} {len(checks) - sum(checks):>6}"
        )
    for section, told in found.items():
        for row in told["rows"]:
            if not row.get("holds", True):
                print(f"FAILED {section}: {row['check']}")
    print(f"{time.monotonic() - start:.0f} s")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
