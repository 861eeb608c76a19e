"""A Llama of 2 layers and width 64 with SmolLM2's tokenizer (13 MB), made in seconds."""

import random
from collections.abc import Callable
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


WITHOUT_REASONING = ".split('</think>')[-1]"
THINKING_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content" + WITHOUT_REASONING + " }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)


def make_tiny_model(smollm2: Path, folder: Path) -> None:
    """Write the model: it has learnt a few sentences, so that what it says can be judged."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    model = _new_model(tokenizer)
    _teach(model, tokenizer, lambda draw: " ".join(draw.sample(SENTENCES, 2)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_thinking_model(smollm2: Path, folder: Path) -> None:
    """Write a model that thinks one sentence before it answers with another, as Qwen 3 does."""
    from transformers import AddedToken, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    tokenizer.add_tokens([AddedToken(text, special=False) for text in ("<think>", "</think>")])

    def answer(draw: random.Random) -> str:
        thought, said = draw.sample(SENTENCES, 2)
        return f"<think>\n{thought}\n</think>\n\n{said}"

    model = _new_model(tokenizer)
    # Its template leaves reasoning out of earlier turns, and so out of what it would learn here.
    tokenizer.chat_template = THINKING_TEMPLATE.replace(WITHOUT_REASONING, "")
    _teach(model, tokenizer, answer, steps=150)
    tokenizer.chat_template = THINKING_TEMPLATE
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _new_model(tokenizer: Any) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

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
    return LlamaForCausalLM(config)


def _teach(
    model: Any, tokenizer: Any, answer: Callable[[random.Random], str], steps: int = 60
) -> None:
    """Train a model on answers that are drawn."""
    import torch

    draw = random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        texts = [
            tokenizer.apply_chat_template(
                [
                    {"role": "user", "content": draw.choice(SENTENCES)},
                    {"role": "assistant", "content": answer(draw)},
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
