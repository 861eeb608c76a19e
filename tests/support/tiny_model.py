"""A Llama of 2 layers and width 64 with SmolLM2's tokenizer (13 MB), made in seconds."""

import random
from pathlib import Path
from typing import Any

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


def make_tiny_model(smollm2: Path, folder: Path) -> None:
    """Write the model: it has learnt a few sentences, so that what it says can be judged."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

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
